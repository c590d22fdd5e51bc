"""Kinds of records, what they hold, how long they are kept and why.

This table sets the end of every record and generates the table of docs/privacy.md. A new kind of
record needs a name and a row in this module, and the module that writes it. The values of kind
"person" are parts of one record, which ends as ``PERSON`` says at the latest.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from broker.core.marked_text import mark as _

RecordKind = Literal[
    "transaction",
    "arrival",
    "person",
    "index",
    "lease",
    "code",
    "mail",
    "session",
    "logout",
    "counter",
    "reference",
    "figures",
    "audit",
    "machine",
]


@dataclass(frozen=True, slots=True)
class Retention:
    """A row of the table.

    ``holds`` is the content of such a record, ``lasts`` the longest time that it is kept, ``since``
    the beginning of that time, ``why`` the purpose. If ``lasts`` is None, the writer of a record
    sets its end, and ``end_in_words`` says in words when that is.
    """

    kind: RecordKind
    holds: str
    lasts: timedelta | None
    since: str
    why: str
    end_in_words: str = ""

    @property
    def span(self) -> timedelta:
        """Return ``lasts``. Raises ValueError if it is None."""
        if self.lasts is None:
            raise ValueError(f"how long a {self.kind} of this row is kept: {self.end_in_words}")
        return self.lasts

    def until(self, since: datetime) -> datetime:
        """Return the end of a record that begins at ``since``.

        Raises ValueError if ``lasts`` is None.
        """
        return since + self.span

    def ends(self, end: datetime) -> datetime:
        """Return ``end``, which the writer of a record has set.

        Raises ValueError if the row has no ``long``.
        """
        if not self.end_in_words:
            raise ValueError(f"the end of a {self.kind} of this row is fixed by the table")
        return end


_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_YEAR: Final = timedelta(days=365)
_TWENTY_YEARS: Final = 20 * _YEAR

TRANSACTION_BEGUN: Final = Retention(
    "transaction",
    _("a login before its browser has arrived: the request of a service"),
    2 * _MINUTE,
    _("its request"),
    _("to limit what a visitor without a login can store"),
)
TRANSACTION: Final = Retention(
    "transaction",
    _(
        "one login or sign-up: what the upstream asserted, with the CPR number, and the "
        "person's answers"
    ),
    30 * _MINUTE,
    _("its request"),
    _("to give the person time to read and answer"),
)
TRANSACTION_IDLE_SHARED: Final = Retention(
    "transaction",
    _("the same on a shared computer"),
    3 * _MINUTE,
    _("the person's last request"),
    _("to end the login before the next user of the computer"),
)
TRANSACTION_DONE: Final = Retention(
    "transaction",
    _("the same on a shared computer after the last page"),
    timedelta(seconds=10),
    _("the last page"),
    _("to end the login before the next user of the computer"),
)
ARRIVAL: Final = Retention(
    "arrival",
    _("the answer of an upstream on its way to the browser; after its use only a mark"),
    None,
    _("the answer"),
    _("to accept no assertion twice"),
    _("60 seconds, or as long as the assertion is valid, and the clock skew"),
)
PERSON: Final = Retention(
    "person",
    _("the record of a person: borrower number and when the library system confirmed it"),
    2 * _YEAR,
    _("the last login"),
    _("to lead the next login to the same borrower, and to keep the person's answers"),
)
INDEX: Final = Retention(
    "index",
    _("the person id that a borrower number or an open case leads to"),
    2 * _YEAR,
    _("the last login"),
    _("to let staff find a person and the open cases"),
)
PERSON_KEYS: Final = Retention(
    "index",
    _("a fingerprint of the keys of person ids; no personal data"),
    _TWENTY_YEARS,
    _("the first start"),
    _("to stop a process with other keys, which would compute other person ids"),
)
MAILBOX_INDEX: Final = Retention(
    "index",
    _("the person id of the person who proved a mail address"),
    None,
    _("the proof"),
    _("to let one mailbox prove one person only"),
    _("as long as the proof"),
)
RECEIPT: Final = Retention(
    "person",
    _("consents, refusals, notices and withdrawals: names of attributes without values; hashes"),
    2 * _YEAR,
    _("the last login; a login deletes answers that are older"),
    _("to prove a consent (GDPR article 7(1)), and to avoid asking again"),
)
LEASE: Final = Retention(
    "lease",
    _("the worker that works on a record"),
    timedelta(seconds=5),
    _("the deadline of the current call, or the last moment for a lost call"),
    _("to keep two workers from the same work"),
)
KNOWN_BROWSER: Final = Retention(
    "person",
    _("a browser that needs no mailed code: borrower number, keyed hash of a secret"),
    90 * _DAY,
    _("the mark"),
    _("to let number and PIN be enough there"),
)
CODE: Final = Retention(
    "code",
    _("mailed codes: a keyed hash of each, and what it proves"),
    30 * _MINUTE,
    _("the mail"),
    _("to check the code that the person types"),
)
CODES_ENDED: Final = Retention(
    "code",
    _("a mark that a borrower's codes ended with a new PIN"),
    30 * _MINUTE,
    _("the new PIN"),
    _("to refuse codes that a stranger asked for before"),
)
PIN_LINK: Final = Retention(
    "code",
    _("links to choose a PIN: borrower number, keyed hashes"),
    None,
    _("the mail"),
    _("to give the person time to read the mail"),
    _("24 hours; seven days in the mail to a new borrower"),
)
MAIL: Final = Retention(
    "mail",
    _("a queued mail: address, subject, text"),
    2 * _DAY,
    _("the request that caused it"),
    _("to send the mail later if the mail server is down"),
)
MAIL_SENT: Final = Retention(
    "mail",
    _("a mail that was sent or refused: subject, time and the masked address"),
    30 * _DAY,
    _("the attempt"),
    _("to show staff why a mail did not arrive"),
)
PROOF: Final = Retention(
    "person",
    _("a proved mail address of the person"),
    None,
    _("the proof"),
    _("to avoid asking for the proof at each login"),
    _("the policy's `remembered_for`; a year for a borrower's address"),
)
SESSION: Final = Retention(
    "session",
    _("a session at a service: NameIDs there and at the upstream, person id, browser"),
    12 * _HOUR,
    _("the assertion"),
    _("to log the person out"),
)
ENDED: Final = Retention(
    "session",
    _("a mark that a person or an upstream ended earlier logins"),
    33 * _MINUTE,
    _("the end"),
    _("to refuse earlier logins as long as they can exist, and the clock skew"),
)
LOGOUT: Final = Retention(
    "logout",
    _("a single logout in progress: NameIDs, browsers"),
    30 * _MINUTE,
    _("the request"),
    _("to log out of several services one after the other"),
)
LIMIT: Final = Retention(
    "counter",
    _("counts of tries, requests and mails of a person, borrower number, network or browser"),
    None,
    _("the first try"),
    _("to stop guessing of codes and PINs, and floods of mail"),
    _("its window: ten minutes to a day"),
)
TURN: Final = Retention(
    "counter",
    _("locks and counters of background work; no person"),
    None,
    _("the work"),
    _("to let one worker do the work"),
    _("two hours"),
)
TRACE: Final = Retention(
    "reference",
    _(
        "the page of a help code: time, step, reason, enrolment, a keyed hash of the person id;"
        " for a refusal its facts: kinds, names of attributes, age in years, affiliations "
        "within the configured scopes, and home organisation and borrower category if a policy "
        "names them"
    ),
    30 * _DAY,
    _("the page"),
    _("to let staff find the page that a person reads out"),
)
SETUP: Final = Retention(
    "figures",
    _("findings of the last check of the library system's set-up; no person"),
    4 * _HOUR,
    _("the proof"),
    _("to share the findings between workers"),
)
AUDIT_KEY: Final = Retention(
    "audit",
    _("the key to a person's events in the audit log, one for each year"),
    3 * _YEAR,
    _("the first event of the year"),
    _("so that each event can be read for two years; after that it is anonymous"),
)
AUDIT_ANCHOR: Final = Retention(
    "machine",
    _("the last line of the audit log; no person"),
    5 * _YEAR,
    _("the line"),
    _("to detect removed lines"),
)
PROCESS_STATUS: Final = Retention(
    "machine",
    _("what a process of the broker runs with: release, digests, key ids; no person"),
    10 * _MINUTE,
    _("its last report"),
    _("to find machines that differ"),
)
STAFF_SESSION: Final = Retention(
    "session",
    _("a session of the staff view: keyed hashes of eppn and browser"),
    15 * _MINUTE,
    _("the last request"),
    _("to end an idle session"),
)
STAFF_SESSION_AT_MOST: Final = Retention(
    "session",
    _("the same session, even if it is active"),
    4 * _HOUR,
    _("the login"),
    _("to ask staff to log in again after half a working day"),
)
STAFF_BINDING: Final = Retention(
    "session",
    _("the person of a listed eppn: a keyed hash of the subject-id or CPR number"),
    _TWENTY_YEARS,
    _("the first login"),
    _("to refuse an eppn that was given to another person; deleted when it leaves the list"),
)

TABLE: Final = tuple(row for row in globals().values() if isinstance(row, Retention))
