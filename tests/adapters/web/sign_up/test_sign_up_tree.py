"""The tree: fifteen pages, nine ends, every answer and every Back."""

from broker.adapters.web.sign_up.sign_up_links import START
from tests.plugins.signup_pages import BACK, PAGES

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
        name: (page.address, " ".join(answer.leads_to for answer in page.answers.values()), BACK.get(name))
        for name, page in PAGES.items()
    } == TREE
    assert next(iter(TREE)) == START


def test_there_are_nine_ends() -> None:
    """An end asks nothing."""
    assert sum(not page.answers for page in PAGES.values()) == 9
