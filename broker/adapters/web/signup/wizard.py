"""The tree of the sign-up pages: which question leads where, where Back goes, and what each end offers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

START: Final = "start"
BEGIN: Final = "/sign-up/begin"
PIN: Final = "/pin"
FAQ: Final = "/sign-up/faq"

# Who of the two ways to log in: the university's, or the national eID. Their names are the
# library's own.
Way = Literal["university", "national_eid"]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do at an end: where it leads, and by which way to log in (None for no login)."""

    name: str
    path: str
    way: Way | None
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def about(self) -> str | None:
        """Give the anchor of the answer that tells what this way to log in is."""
        return {"university": "wayf", "national_eid": "eid", None: None}[self.way]


@dataclass(frozen=True, slots=True)
class WizardNode:
    """One page: a question whose answers lead on, or an end with something to do or to know."""

    name: str
    path: str
    back: str | None
    answers: Mapping[str, str] = field(
        default_factory=dict
    )  # what the form sends, and the node it leads to
    actions: tuple[Action, ...] = ()

    @property
    def question(self) -> bool:
        """Say whether the page asks."""
        return bool(self.answers)

    def next(self, answers: tuple[str, ...]) -> str | None:
        """Give the node that ``answers`` (the values a form sent) lead to; None for none, several or an unknown one.

        The form sends an empty value before the chosen one, so that "nothing chosen" arrives at
        all.
        """
        given = [each for each in answers if each]
        return self.answers.get(given[0]) if len(given) == 1 else None


def _begin(name: str, way: Way, affiliation: str) -> Action:
    return Action(name, BEGIN, way, {"affiliation": affiliation})


def _pin(affiliation: str) -> tuple[Action, ...]:
    # The first asks for no login: who never used the library has only a mail address on file (R03).
    mailed = Action("pin_by_email", PIN, None)
    changed = Action("login_wayf_pin", PIN, "university")
    return mailed, changed, _begin("login_wayf", "university", affiliation)


def _university(who: str) -> tuple[WizardNode, ...]:
    """Give the branch that students and employees of the university share; its texts differ (R11, R12)."""
    path = f"/sign-up/{who}"
    return (
        WizardNode(f"{who}.cpr", path, START, {"yes": f"{who}.pin", "no": f"{who}.need"}),
        WizardNode(f"{who}.pin", f"{path}/pin", f"{who}.cpr", actions=_pin(who)),
        WizardNode(
            f"{who}.need",
            f"{path}/no-cpr",
            f"{who}.cpr",
            {"yes": f"{who}.temp", "no": f"{who}.eaccess"},
        ),
        WizardNode(f"{who}.temp", f"{path}/temporary", f"{who}.need"),
        WizardNode(f"{who}.eaccess", f"{path}/electronic", f"{who}.need"),
    )


_TREE: Final = (
    WizardNode(
        START,
        "/sign-up",
        None,
        {
            "student": "student.cpr",
            "employee": "employee.cpr",
            "hospital": "hospital.mitau",
            "private": "private.eid",
        },
    ),
    *_university("student"),
    *_university("employee"),
    WizardNode(
        "hospital.mitau",
        "/sign-up/hospital",
        START,
        {"yes": "hospital.login", "no": "hospital.kaldemail"},
    ),
    WizardNode(
        "hospital.login",
        "/sign-up/hospital/login",
        "hospital.mitau",
        actions=(_begin("login_wayf", "university", "hospital"),),
    ),
    WizardNode(
        "hospital.kaldemail",
        "/sign-up/hospital/kaldemail",
        "hospital.mitau",
        actions=(_begin("login_eid_hospital", "national_eid", "hospital"),),
    ),
    WizardNode(
        "private.eid",
        "/sign-up/private",
        START,
        actions=(_begin("login_eid_private", "national_eid", "private"),),
    ),
)
NODES: Final[Mapping[str, WizardNode]] = {each.name: each for each in _TREE}

ANCHORS: Final = (
    "account", "who", "login", "no-cpr", "my-loans", "open-account", "hospital", "advantages", "rights", "pin",
    "profile", "wayf", "eid",
)  # fmt: skip
# Addresses of the library's own pages, by the names that texts use.
LINKS: Final = (
    "service_locations",
    "my_loans",
    "search_engine",
    "subject_guides",
    "databases",
    "faq_hospital_da",
)
# Addresses that are nobody's to configure: the Region's own.
FIXED: Final[Mapping[str, str]] = {"bsk": "https://bsk.rm.dk"}


def known(target: str) -> bool:
    """Say whether ``target`` is something a text may link to."""
    name, mark, anchor = target.partition("#")
    if mark:
        return name == "faq" and anchor in ANCHORS
    return name in NODES or name in LINKS or name in FIXED or name in {"faq", "pin"}


def targets() -> tuple[str, ...]:
    """Give everything a text may link to."""
    return (*LINKS, *FIXED, *NODES, "faq", *(f"faq#{each}" for each in ANCHORS), "pin")
