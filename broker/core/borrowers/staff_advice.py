"""What staff do about an enrolment, and what trying it again would do: a table by reason."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.marked_text import marked as _


@dataclass(frozen=True, slots=True)
class Advice:
    """Sentences for staff: what to do, and what ``broker enrolments retry`` would do.

    English, as the commands print them; the catalogue has their Danish.
    """

    todo: str
    retry: str


_LOOKS_AGAIN: Final = _("It looks again at once, and goes on where the cause is mended.")
_MAILS_AGAIN: Final = _("A PIN is set, proved and mailed anew.")
_NO_RETRY: Final = _("Nothing: there is nothing left to try.")
_ENDS: Final = _("It ends the case; the next login looks for itself.")
_WISH_GONE: Final = _(
    "Nothing: the wish was dropped after 30 days, or there never was one. Once all is "
    "put right, `end` it: the person begins anew at the next login."
)
_ASKS_AGAIN: Final = _(
    "It ends the case and lets them in; the CPR register is asked again at their next login."
)
_NOBODY_BY_IT: Final = _(
    "It ends the case and lets them in. Nobody is made by the old number any more, nor by another "
    "that the case held back, unless the CPR register says that it holds; it is asked again at "
    "their next login."
)
_MERGE: Final = _("Merge the borrowers in the library system, then `retry`.")

_OF_THE_REGISTER: Final = frozenset({_ASKS_AGAIN, _NOBODY_BY_IT})

# The reasons of docs/operations.md.
BY_REASON: Final[Mapping[str, Advice]] = {
    "two_borrowers": Advice(_MERGE, _LOOKS_AGAIN),
    "temporary_and_cpr": Advice(_MERGE, _LOOKS_AGAIN),
    "different_person": Advice(
        _(
            "See whose the borrower is. Correct the name, the date of birth or the CPR number, "
            "whichever is wrong, in the library system, then `retry`."
        ),
        _LOOKS_AGAIN,
    ),
    "cpr_differs": Advice(
        _(
            "See whose the borrower is: the library system has it under another CPR number "
            "than the person's. Correct the one that is wrong there, then `retry`."
        ),
        _LOOKS_AGAIN,
    ),
    "cpr_changed": Advice(
        _(
            "See whether the person got a new CPR number, and correct the borrower that is "
            "linked then. If they did not, two people share a login: talk to the national "
            "eID's support."
        ),
        _("The cprUuid counts for the CPR number that it comes with next."),
    ),
    "adoption_other_name": Advice(
        _(
            "See for whom the temporary borrower was made. `confirm` it, with its number, if "
            "it is this person's, else talk to the person and `end` the case."
        ),
        _("It looks again at once, and comes back unless the names have a word in common by then."),
    ),
    "temporary_unfit": Advice(
        _(
            "See what the desk registered: the borrower proved is not temporary, has a CPR "
            "number already, or another date of birth. Then `retry`."
        ),
        _LOOKS_AGAIN,
    ),
    "address_taken": Advice(
        _("Find out whose mail address it is now."),
        _("It ends the first person's proof and frees the address for the next who proves it."),
    ),
    "library_refused": Advice(
        _("Mend in the library system what the cause names, then `retry`."), _LOOKS_AGAIN
    ),
    "library_setup": Advice(
        _(
            "Mend in the library system the setting that the cause names; `broker check` "
            "proves it. Nobody waits longer than ten minutes after the mend."
        ),
        _("It tries at once, unless creates of the category are paused to one trial a minute."),
    ),
    "library_unavailable": Advice(
        _("Nothing; it is tried again. If it lasts, see the cause, and `broker check`."),
        _("It tries at once, in place of when it is due."),
    ),
    "mail_unavailable": Advice(
        _("Nothing; the mail is tried again. If it lasts, see [mail] url, and the mail server."),
        _("It tries at once, in place of when it is due."),
    ),
    "mail_put_off": Advice(
        _(
            "Nothing; it is mailed as soon as the mail server answers. If it lasts, see [mail] "
            "url, and the mail server."
        ),
        _("It tries at once, unless the mail server is silent: then it waits on."),
    ),
    "pin_refused": Advice(
        _(
            "Lower the length and strength of PINs in the library system by what the cause "
            "says. It is tried again by itself for a day, then `retry`."
        ),
        _MAILS_AGAIN,
    ),
    "pin_not_set": Advice(
        _(
            "See why the library system takes a PIN and does not know it: in Koha a missing "
            "PASSWORD_CHANGE notice, or a mail server that hangs. It is tried again by itself "
            "for a day, then `retry`."
        ),
        _MAILS_AGAIN,
    ),
    "pin_expired": Advice(
        _(
            "Let PINs last longer in the library system. It is tried again by itself for a "
            "day, then `retry`."
        ),
        _MAILS_AGAIN,
    ),
    "pin_locked": Advice(
        _(
            "Unlock the borrower in the library system. It is tried again by itself for a day, "
            "then `retry`."
        ),
        _MAILS_AGAIN,
    ),
    "pin_unproved": Advice(
        _(
            "Give the borrower a card number in the library system. It is tried again by "
            "itself for a day, then `retry`."
        ),
        _MAILS_AGAIN,
    ),
    "pin_doubtful": Advice(
        _(
            "See by the cause why the library system refuses the PIN; an earlier call without "
            "an answer may have set it. It is tried again by itself for a day, then `retry`."
        ),
        _MAILS_AGAIN,
    ),
    "borrower_gone": Advice(
        _("Nothing: the person signs up with a CPR number at the next login."), _NO_RETRY
    ),
    "person_dead": Advice(
        _(
            "The CPR register says that the person is dead: nobody is let in by their number, "
            "and nothing is mailed to them. Close the borrower in the library system, then "
            "`end` it. If they live, `retry`."
        ),
        _ASKS_AGAIN,
    ),
    "cpr_number_changed": Advice(
        _(
            "The CPR register has given the person another number. `confirm` it, with the "
            "borrower's number, and the borrower gets it; where two borrowers are named, merge "
            "them in the library system into one that has the new number, then `retry`. Where "
            "one is named, nobody comes to a borrower by the new number until then."
        ),
        _NOBODY_BY_IT,
    ),
    "under_guardianship": Advice(
        _("The person has a guardian. See what the library has agreed with them, then `end` it."),
        _ASKS_AGAIN,
    ),
    "register_unclear": Advice(
        _("See what the cause says, and whose the borrower is. Nobody waits; then `end` it."),
        _ASKS_AGAIN,
    ),
    "register_not_written": Advice(
        _(
            "The library system refuses what the CPR register says of the person's name or "
            "address. Mend what the cause names, or write it there yourself, then `retry`."
        ),
        _ASKS_AGAIN,
    ),
    "protected_address_there": Advice(
        _(
            "Name and address of the person are protected now, and an address stands in the "
            "library system. Take it out there, unless the person wants it to stand; then "
            "`end` it. Nobody waits."
        ),
        _ASKS_AGAIN,
    ),
    "name_with_another_cpr": Advice(
        _(
            "Nobody waits. Find out whether the university has given the user name to somebody "
            "else."
        ),
        _("It ends the notice."),
    ),
}
_BY_STATE: Final[Mapping[str, Advice]] = {
    "wanted": Advice(
        _("Nothing: it is carried out within seconds where a worker runs."), _("It tries at once.")
    ),
    "done": Advice(_("Nothing: the borrower is as wished."), _NO_RETRY),
    "given_up": Advice(_("Nothing: the next login begins anew."), _NO_RETRY),
    "observed": Advice(_("Nothing: it only says what would have been."), _NO_RETRY),
    "case": Advice(_("See the cause, mend it, then `retry`."), _LOOKS_AGAIN),
    "notice": Advice(_("Nobody waits for anything."), _("It ends the notice.")),
}


def advice(enrolment: Enrolment, *, listed_apart: bool) -> Advice:
    """Return what staff do about an enrolment.

    ``listed_apart`` is whether it is a case or notice by itself, beside the person's enrolment: it
    has no wish, and a retry ends it.
    """
    state = enrolment.listed_state
    reason = enrolment.listed_reason or ""
    found = BY_REASON[reason] if reason in BY_REASON else _BY_STATE[state]
    if listed_apart:
        return replace(found, retry=_ENDS) if found.retry == _LOOKS_AGAIN else found
    if enrolment.wish is not None:
        # Of a wish that waits for another case, which is the register's.
        return replace(found, retry=_LOOKS_AGAIN) if found.retry in _OF_THE_REGISTER else found
    is_case = enrolment.state is EnrolmentState.CASE
    return replace(found, retry=_WISH_GONE if is_case else _NO_RETRY)
