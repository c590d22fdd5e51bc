"""The tree: fifteen pages, nine ends, every answer and every Back."""

import pytest

from broker.adapters.web.sign_up.sign_up_questions import ANCHORS, NODES, is_link_target, targets

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


def test_there_are_nine_ends() -> None:
    """An end asks nothing."""
    assert sum(not node.question for node in NODES.values()) == 9


@pytest.mark.parametrize("target", ["faq#nothing", "start#wayf", "", "faq#", "start.", "bsk#wayf"])
def test_a_text_cannot_link_to_what_there_is_not(target: str) -> None:
    """An unknown page, and an anchor on anything but the answers, is no target."""
    assert not is_link_target(target)


def test_every_target_that_is_offered_is_known() -> None:
    """Every target that an error message proposes is accepted."""
    assert all(is_link_target(each) for each in targets())
    assert len(ANCHORS) == 13
