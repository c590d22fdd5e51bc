"""The tree of the sign-up pages: questions, where their answers and Back lead, and the ends."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

START: Final = "start"
BEGIN: Final = "/sign-up/begin"
PIN: Final = "/pin"
CHOICES: Final = "/my-choices"
FAQ: Final = "/sign-up/faq"

# The two ways to log in: the university's, and the national eID. Their names are the library's own.
Way = Literal["university", "national_eid"]

_EXPLAINED: Final[Mapping[Way | None, str]] = {"university": "wayf", "national_eid": "eid"}


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do at an end: where it leads, and by which way to log in (None for no login).

    An action with a ``link`` leads to a page of the library, by its name in ``sign_up.links``.
    """

    name: str
    path: str
    way: Way | None
    fields: Mapping[str, str] = field(default_factory=dict)
    link: str = ""

    @property
    def about(self) -> str | None:
        """Return the anchor of the answer that explains this way to log in; None for no login."""
        return _EXPLAINED.get(self.way)


@dataclass(frozen=True, slots=True)
class WizardNode:
    """A page: a question whose answers lead on, or an end with something to do or to know.

    ``answers`` are the values that the form sends, and the nodes that they lead to.
    """

    name: str
    path: str
    back: str | None
    answers: Mapping[str, str] = field(default_factory=dict)
    actions: tuple[Action, ...] = ()

    @property
    def question(self) -> bool:
        """Return whether the page asks."""
        return bool(self.answers)

    def next(self, answers: tuple[str, ...]) -> str | None:
        """Return the node that ``answers`` lead to; None for none, several or an unknown one.

        ``answers`` are the values that a form sent: an empty one before the chosen one, so that
        "nothing chosen" arrives at all.
        """
        chosen = [value for value in answers if value]
        if len(chosen) != 1:
            return None
        return self.answers.get(chosen[0])


def _begin(name: str, way: Way, affiliation: str) -> Action:
    return Action(name, BEGIN, way, {"affiliation": affiliation})


def _pin(affiliation: str) -> tuple[Action, ...]:
    # The first asks for no login: a person who never used the library has only a mail address on
    # file (R03).
    mailed = Action("pin_by_email", PIN, None)
    changed = Action("login_wayf_pin", PIN, "university")
    return mailed, changed, _begin("login_wayf", "university", affiliation)


# The library's own address of this name begins a login with WAYF at its electronic resources (R14).
_ELECTRONIC_LOGIN: Final = Action("login_electronic", "", "university", link="electronic_resources")


def _university(affiliation: str) -> tuple[WizardNode, ...]:
    """Return the branch that students and employees share; its texts differ (R11, R12)."""
    path = f"/sign-up/{affiliation}"
    cpr = f"{affiliation}.cpr"
    pin = f"{affiliation}.pin"
    need = f"{affiliation}.need"
    temporary = f"{affiliation}.temp"
    electronic = f"{affiliation}.eaccess"
    return (
        WizardNode(cpr, path, START, {"yes": pin, "no": need}),
        WizardNode(pin, f"{path}/pin", cpr, actions=_pin(affiliation)),
        WizardNode(need, f"{path}/no-cpr", cpr, {"yes": temporary, "no": electronic}),
        WizardNode(temporary, f"{path}/temporary", need),
        WizardNode(electronic, f"{path}/electronic", need, actions=(_ELECTRONIC_LOGIN,)),
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
NODES: Final[Mapping[str, WizardNode]] = {node.name: node for node in _TREE}

ANCHORS: Final = (
    "account", "who", "login", "no-cpr", "my-loans", "open-account", "hospital",
    "advantages", "rights", "pin", "profile", "wayf", "eid",
)  # fmt: skip
# Names of the library's own pages, whose addresses are in sign_up.links.
_LINK: Final = re.compile("[a-z_]+")
# Addresses that are nobody's to configure: the Region's own.
FIXED: Final[Mapping[str, str]] = {"bsk": "https://bsk.rm.dk"}


def is_link_target(target: str) -> bool:
    """Return whether a text may link to ``target``: a sign-up page, or a name of sign_up.links."""
    return target in targets() or _LINK.fullmatch(target) is not None


def targets() -> tuple[str, ...]:
    """Return the pages that a text may link to, apart from the library's own."""
    anchors = tuple(f"faq#{anchor}" for anchor in ANCHORS)
    return (*FIXED, *NODES, "faq", *anchors, "pin", "choices")
