"""The tree: fifteen pages, nine ends, every answer and every Back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.adapters.web.sign_up.sign_up_questions import ANCHORS, NODES, START, is_link_target, targets

# Written as the requirements have it (docs/reference/requirements.md#tree): path, where each answer
# leads, where Back leads.
TREE = {
    "start": ("/sign-up", "student.cpr employee.cpr hospital.mitau private.eid", None),
    "student.cpr": ("/sign-up/student", "student.pin student.need", "start"),
    "student.pin": ("/sign-up/student/pin", "", "student.cpr"),
    "student.need": ("/sign-up/student/no-cpr", "student.temp student.eaccess", "student.cpr"),
    "student.temp": ("/sign-up/student/temporary", "", "student.need"),
    "student.eaccess": ("/sign-up/student/electronic", "", "student.need"),
    "employee.cpr": ("/sign-up/employee", "employee.pin employee.need", "start"),
    "employee.pin": ("/sign-up/employee/pin", "", "employee.cpr"),
    "employee.need": ("/sign-up/employee/no-cpr", "employee.temp employee.eaccess", "employee.cpr"),
    "employee.temp": ("/sign-up/employee/temporary", "", "employee.need"),
    "employee.eaccess": ("/sign-up/employee/electronic", "", "employee.need"),
    "hospital.mitau": ("/sign-up/hospital", "hospital.login hospital.kaldemail", "start"),
    "hospital.login": ("/sign-up/hospital/login", "", "hospital.mitau"),
    "hospital.kaldemail": ("/sign-up/hospital/kaldemail", "", "hospital.mitau"),
    "private.eid": ("/sign-up/private", "", "start"),
}


def test_the_tree_is_the_required_one() -> None:
    """Every page has its path, leads where it must, and goes back to the page that led to it."""
    assert {
        name: (node.path, " ".join(node.answers.values()), node.back) for name, node in NODES.items()
    } == TREE  # fmt: skip


def test_answers_are_yes_and_no_but_on_the_first_page() -> None:
    """The first page asks for one of four affiliations, every other for yes or no, in that order."""
    assert tuple(NODES[START].answers) == ("student", "employee", "hospital", "private")
    others = {tuple(node.answers) for node in NODES.values() if node.question and node.name != START}
    assert others == {("yes", "no")}


def test_there_are_nine_ends() -> None:
    """An end asks nothing."""
    assert sum(not node.question for node in NODES.values()) == 9


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (("yes",), "student.pin"),
        (("", "yes"), "student.pin"),
        (("no",), "student.need"),
        ((), None),
        (("",), None),
        (("", ""), None),
        (("maybe",), None),
        (("YES",), None),
        (("yes", "no"), None),
        (("yes", "yes"), None),
        (("yes ",), None),
    ],
)
def test_one_answer_that_the_page_offers_leads_on(answers: tuple[str, ...], expected: str | None) -> None:
    """The empty value that the form always sends counts for nothing; none, several and unknown lead nowhere."""
    assert NODES["student.cpr"].next(answers) == expected


@given(st.sampled_from(sorted(NODES)), st.lists(st.text()))
def test_an_answer_leads_into_the_tree_or_nowhere(name: str, answers: list[str]) -> None:
    """The page after any answer has a Back link to the page that asked."""
    following = NODES[name].next(tuple(answers))
    assert following is None or NODES[following].back == name


@pytest.mark.parametrize("target", ["faq#nothing", "start#wayf", "", "faq#", "start.", "bsk#wayf"])
def test_a_text_cannot_link_to_what_there_is_not(target: str) -> None:
    """An unknown page, and an anchor on anything but the answers, is no target."""
    assert not is_link_target(target)


def test_every_target_that_is_offered_is_known() -> None:
    """Every target that an error message proposes is accepted."""
    assert all(is_link_target(each) for each in targets())
    assert len(ANCHORS) == 13
