"""The one table of what is kept, how long and why: all ends and docs/privacy.md come from it."""

from datetime import timedelta
from typing import Final

from broker.core.marked_text import marked as _
from broker.core.retention.rows import Retention

_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_YEAR: Final = timedelta(days=365)
_TWENTY_YEARS: Final = 20 * _YEAR

TRANSACTION_BEGUN: Final = Retention(
    "transaction",
    _("a login that no browser has come for yet: the request of a service"),
    "a random id",
    2 * _MINUTE,
    _("its request"),
    _("anybody may write a request, and the store is not theirs to fill"),
)
TRANSACTION: Final = Retention(
    "transaction",
    _(
        "one login or sign-up: what the upstream asserted, the CPR number too,"
        " and what was answered"
    ),
    "a random id",
    30 * _MINUTE,
    _("its request"),
    _("the person needs time to read, to answer, to go back"),
)
TRANSACTION_LEFT_ALONE: Final = Retention(
    "transaction",
    _("the same, on a computer that others use too, while nothing is done with it"),
    "a random id",
    3 * _MINUTE,
    _("the person's last page"),
    _("whoever sits there next may bring its cookies back"),
)
TRANSACTION_DONE: Final = Retention(
    "transaction",
    _("the same, on such a computer, once its work is done"),
    "a random id",
    timedelta(seconds=10),
    _("the last page"),
    _("whoever sits there next may bring its cookies back"),
)
ARRIVAL: Final = Retention(
    "arrival",
    _("the answer of an upstream on its way to the browser; once used only that it was used"),
    "a keyed hash of the assertion's id",
    None,
    _("the answer"),
    _("no assertion is accepted twice"),
    _("60 seconds and the skew, or as long as the assertion is good and the skew"),
)
PERSON: Final = Retention(
    "person",
    _("what is kept of a person: borrower number and when the library system confirmed it"),
    "the person id",
    2 * _YEAR,
    _("the last login"),
    _("the next login is led to the same borrower, and answers count as the person gave them"),
)
INDEX: Final = Retention(
    "index",
    _("the person id that a borrower number or an open case leads to"),
    "a keyed hash of the borrower number, or the person id",
    2 * _YEAR,
    _("the last login"),
    _("staff find a person and the open cases"),
)
PERSON_KEYS: Final = Retention(
    "index",
    _("a fingerprint of the keys that person ids are made with; nothing of a person"),
    "a fixed name",
    _TWENTY_YEARS,
    _("the first start"),
    _("a process with other keys does not start: it would make other people of everybody"),
)
MAILBOX_INDEX: Final = Retention(
    "index",
    _("the person id of the one person whom a mail address proves"),
    "a keyed hash of the mail address",
    None,
    _("the proof"),
    _("one mailbox speaks for one person"),
    _("as long as the proof"),
)
RECEIPT: Final = Retention(
    "person",
    _(
        "what was agreed to, refused, told or taken back: names of attributes, no value; "
        "hashes of it"
    ),
    "the person id",
    2 * _YEAR,
    _("the answer"),
    _("to prove a consent (GDPR article 7(1)), and not to ask again"),
)
LEASE: Final = Retention(
    "lease",
    _("which worker carries out a record that is due"),
    "that of the record",
    timedelta(seconds=5),
    _("the deadline of the call that is under way, or until a lost one may still come"),
    _("two workers do not do one work"),
)
KNOWN_BROWSER: Final = Retention(
    "person",
    _("a browser that its owner ticked as their own: borrower number, keyed hash of a secret"),
    "a keyed hash of the borrower number",
    90 * _DAY,
    _("the tick"),
    _("number and PIN are enough there"),
)
CODE: Final = Retention(
    "code",
    _("codes that were mailed to a person: a keyed hash of each, and what it proves"),
    "a keyed hash of the browser's cookie and the person id",
    30 * _MINUTE,
    _("the mail"),
    _("the person types it in the browser that asked"),
)
CODES_ENDED: Final = Retention(
    "code",
    _("that a borrower's codes ended, because the PIN was changed"),
    "a keyed hash of the borrower number",
    30 * _MINUTE,
    _("the new PIN"),
    _("a stranger who asked for a code before gets in no more"),
)
PIN_LINK: Final = Retention(
    "code",
    _("links behind which a borrower chooses a PIN: borrower number, keyed hashes"),
    "a keyed hash of the link or of the borrower number",
    None,
    _("the mail"),
    _("the person reads their mail when they come to it"),
    _("24 hours, seven days in the mail to a new borrower"),
)
MAIL: Final = Retention(
    "mail",
    _("a mail to be sent: address, subject, text"),
    "a keyed hash of the borrower number or person id",
    2 * _DAY,
    _("the request that caused it"),
    _("a mail server that is down gets it later"),
)
MAIL_SENT: Final = Retention(
    "mail",
    _("a mail that was sent or refused: subject, time and the masked address"),
    "a keyed hash of the borrower number or person id",
    30 * _DAY,
    _("the attempt"),
    _("staff see why a mail did not arrive"),
)
PROOF: Final = Retention(
    "person",
    _("a mail address that was shown to be the person's own"),
    "the person id",
    None,
    _("the proof"),
    _("the person is not asked for it at each login"),
    _("as long as the policy's `remembered_for`, a year for the address of a borrower"),
)
SESSION: Final = Retention(
    "session",
    _("what a service was told: NameIDs there and upstream, person id, browser"),
    "a keyed hash of the browser's cookie, or of the NameID",
    12 * _HOUR,
    _("the assertion"),
    _("so that it can be logged out"),
)
ENDED: Final = Retention(
    "session",
    _("that a person or an upstream has ended what was authenticated until then"),
    "a keyed hash of browser and person id, or of the upstream's NameID",
    33 * _MINUTE,
    _("the end"),
    _("as long as a login of before can live, and the skew"),
)
LOGOUT: Final = Retention(
    "logout",
    _("one single logout under way: NameIDs, browsers"),
    "a keyed hash of the request's id",
    30 * _MINUTE,
    _("the request"),
    _("the person goes through several services"),
)
LIMIT: Final = Retention(
    "counter",
    _("tries, askings and mails of a person, borrower number, network or browser"),
    "a keyed hash of what is limited",
    None,
    _("the first try"),
    _("nobody guesses codes or PINs, or fills a mailbox"),
    _("its window: ten minutes to a day; a year for the wrong PINs of an own browser"),
)
DECLINED: Final = Retention(
    "person",
    _("that a person does not want another category"),
    "the person id",
    180 * _DAY,
    _("the answer"),
    _("they are not asked at every login"),
)
TURN: Final = Retention(
    "counter",
    _("whose turn it is to sweep, to count, to prove; how many traces an hour, calls a second"),
    "a word",
    None,
    _("the turn"),
    _("of all workers one does it"),
    _("two hours at most"),
)
TRACE: Final = Retention(
    "reference",
    _(
        "the page that a reference stands for: time, step, reason, enrolment; a keyed hash of the "
        "person's random id; of a refusal what decided: kinds, names of attributes, age in years, "
        "affiliations within the configured scopes; home organisation and borrower category where "
        "a policy file names them"
    ),
    "the reference",
    30 * _DAY,
    _("the page"),
    _("the desk finds what a caller reads out"),
)
SETUP: Final = Retention(
    "figures",
    _("what the last proof of the library system's set-up found; no person"),
    "a word",
    4 * _HOUR,
    _("the proof"),
    _("every worker knows it"),
)
TRAIL_KEY: Final = Retention(
    "audit",
    _("the key that opens a person's events on the audit trail, for a month of events"),
    "a keyed hash of the person id or the borrower number",
    2 * _YEAR,
    _("the first event of the month"),
    _("as receipts; after it nobody's events are anybody's"),
)
TRAIL_ANCHOR: Final = Retention(
    "machine",
    _("where the audit trail stood; no person"),
    "machine and line",
    5 * _YEAR,
    _("the line"),
    _("a cut is seen"),
)
STAFF_LOGIN: Final = Retention(
    "session",
    _("a login to the staff view under way: the browser, the request to the upstream; no person"),
    "a random id",
    10 * _MINUTE,
    _("its beginning"),
    _("the person logs in at their institution"),
)
STAFF_SESSION: Final = Retention(
    "session",
    _("a session of the staff view: keyed hashes of eppn and browser"),
    "a keyed hash of the cookie",
    15 * _MINUTE,
    _("the last request"),
    _("an idle session ends"),
)
STAFF_SESSION_AT_MOST: Final = Retention(
    "session",
    _("the same session, however busy it is"),
    "a keyed hash of the cookie",
    4 * _HOUR,
    _("the login"),
    _("staff log in afresh after half a working day"),
)
STAFF_BINDING: Final = Retention(
    "session",
    _("the person to whom a listed eppn belongs: a keyed hash of the subject-id or CPR number"),
    "a keyed hash of the eppn",
    _TWENTY_YEARS,
    _("the first login"),
    _("an eppn that is given to another person opens nothing; dropped when it leaves the list"),
)

TABLE: Final = tuple(row for row in globals().values() if isinstance(row, Retention))
