"""What can be wrong with a form of the staff view, by code, and the field that it is about."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString


class FormProblem(NamedTuple):
    """A sentence for people, and the id of the field that they mend."""

    field: str
    text: LazyString


_CPR: Final = _(
    "That looked like a CPR number. It has been thrown away: no CPR number belongs in this field."
)
PROBLEMS: Final[Mapping[str, FormProblem]] = {
    "find_missing": FormProblem("find", _("Write the help code or the borrower number.")),
    "find_cpr": FormProblem("find", _CPR),
    "person_unknown": FormProblem(
        "find", _("No page of the last thirty days has this code, and no borrower this number.")
    ),
    "reference_missing": FormProblem("reference", _("Write the help code.")),
    "reference_cpr": FormProblem("reference", _CPR),
    "reference_unread": FormProblem(
        "reference", _("A help code has eight or twelve letters and digits.")
    ),
    "reference_unknown": FormProblem(
        "reference", _("No page of the last thirty days has this code. Ask for it again.")
    ),
    "affiliation_cpr": FormProblem("affiliation", _CPR),
    "affiliation_unread": FormProblem(
        "affiliation", _("Write affiliations with their scope, as student@au.dk.")
    ),
    "age_unread": FormProblem("age", _("Write the age as a whole number from 0 to 125.")),
}
