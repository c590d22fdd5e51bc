"""Mailed codes: one implementation for mailbox proofs, claims, library accounts and PIN mails.

A typed code has eight digits, is valid for 30 minutes, has five tries and belongs to the browser
that asked for it. The code of a PIN mail is a random token in a link and belongs to no browser.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.core.errors import CodeRefused, LinkGone
from broker.core.identity.mail_addresses import fold_mailbox
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.mail.mailed_codes import (
    CODE_LASTS,
    Code,
    CodeOwner,
    CodesEnded,
    StoredCodes,
    draw_code,
    read_code,
)
from broker.core.ports import Key, Store, Write
from broker.core.retention import CODE, CODES_ENDED, PIN_LINK
from broker.use_cases.storage.rate_limits import Limit, Limits
from broker.use_cases.storage.records import Content, Record, Records

MAILS_A_DAY: Final = Limit("code mails", 3, timedelta(days=1))
CARDS_A_DAY: Final = Limit("claimed cards", 5, timedelta(days=1))
MOST_LINKS: Final = 3
LINK_LASTS: Final = timedelta(hours=24)
WELCOME_LINK_LASTS: Final = timedelta(days=7)
_HANDLE: Final = 16  # hex digits at the start of a token, by which the borrower's links are found


@dataclass(frozen=True, slots=True)
class MailedCodes:
    """The codes and links in the store."""

    store: Store
    hmacs: LookupHmacs
    now: Callable[[], datetime]

    def count_mail(
        self, *, person_id: str = "", borrower_number: str = "", address: str = ""
    ) -> None:
        """Count one mailed code; call this before the mail is queued.

        Raises TooMany if the person, the borrower or the mailbox has had three codes within a day.
        """
        names = {
            "person": person_id,
            "borrower": borrower_number,
            "mailbox": fold_mailbox(address) if address else "",
        }
        for what, name in names.items():
            if name:
                self._limits.take(MAILS_A_DAY, what, name)

    def count_card(self, person_id: str) -> None:
        """Count one card number that a person types to claim a borrower.

        Raises TooMany if the person has tried five within a day.
        """
        self._limits.take(CARDS_A_DAY, person_id)

    @property
    def _limits(self) -> Limits:
        return Limits(self.store, self.hmacs, self.now)

    def make_code(self, owner: CodeOwner, subject: str = "") -> str:
        """Store a new code for ``subject`` and return its eight digits for the mail.

        Without a subject it is a decoy: wrong tries count down as those of a mailed code.
        """
        now, digits = self.now(), draw_code()
        code = Code(subject, self._code_hash(owner, digits), now, now + CODE_LASTS)

        def add_to(record: Record[StoredCodes] | None) -> Content[StoredCodes]:
            return Content(_list_live(record, now).add_code(code), CODE.until(now))

        self._stored_codes.amend(self._key(owner), add_to, now)
        return digits

    def set_subject(self, owner: CodeOwner, digits: str, subject: str) -> None:
        """Turn a decoy into a code that proves ``subject``."""
        code_hash = self._code_hash(owner, digits)

        def set_in(record: Record[StoredCodes] | None) -> Content[StoredCodes] | None:
            if record is None:
                return None
            return Content(record.value.set_subject(code_hash, subject), record.until)

        self._stored_codes.amend(self._key(owner), set_in, self.now())

    def try_code(self, owner: CodeOwner, typed: str) -> str:
        """Return the subject of a typed code and use the code up.

        Any valid code of the owner counts. A wrong one costs each of them a try. Raises
        CodeRefused: code_malformed (costs no try), code_none, code_used_up or code_wrong.
        """
        code_hash = self._code_hash(owner, read_code(typed))
        now = self.now()
        found: Code | None = None

        def try_in(record: Record[StoredCodes] | None) -> Content[StoredCodes]:
            nonlocal found
            codes = _list_live(record, now)
            found = codes.find(code_hash)
            after = codes.drop_code(code_hash) if found else codes.count_wrong_try()
            return Content(after, record.until if record else now)

        self._stored_codes.amend(self._key(owner), try_in, now)
        if found is None or (owner.purpose == "library_account" and self._is_ended(found)):
            raise CodeRefused("code_wrong")
        return found.subject

    def end_codes(self, borrower_number: str) -> None:
        """End all login codes and PIN links of a borrower, because the PIN has changed."""
        now = self.now()
        self.store.drop(self._links_key(borrower_number))
        Records(self.store, CodesEnded).put(
            self._end_mark_key(borrower_number), CodesEnded(now), CODES_ENDED.until(now), now
        )

    def make_link(self, borrower_number: str, *, ignore_limit: bool = False) -> str | None:
        """Store a new PIN link and return its token; None if three links are valid.

        ``ignore_limit`` ignores the limit, for requests by staff.
        """
        now = self.now()
        token, code = self._draw_link(borrower_number, LINK_LASTS)

        def add_to(record: Record[StoredCodes] | None) -> Content[StoredCodes] | None:
            links = _list_live(record, now)
            if len(links.codes) >= MOST_LINKS and not ignore_limit:
                return None
            after = links.add_code(code)
            ends = max(each.expires_at for each in after.codes)
            return Content(after, PIN_LINK.ends(ends))

        amended = self._stored_codes.amend(self._links_key(borrower_number), add_to, now)
        return token if amended.written else None

    def draft_link(self, borrower_number: str) -> tuple[str, Write]:
        """Return the token of a new borrower's PIN link, and its write for ``Store.put_many``."""
        token, code = self._draw_link(borrower_number, WELCOME_LINK_LASTS)
        held = Content(StoredCodes((code,)), PIN_LINK.ends(code.expires_at))
        return token, self._stored_codes.draft(self._links_key(borrower_number), held, None)

    def require_link(self, token: str) -> str:
        """Return the borrower number of a PIN link without using it up; raises LinkGone."""
        now = self.now()
        record = self._stored_codes.get(self._handle_key(token[:_HANDLE]), now)
        for code in _list_live(record, now).codes:
            if code.code_hash == self._token_hash(token):
                return code.subject
        raise LinkGone("no such PIN link")

    def _is_ended(self, code: Code) -> bool:
        ended = Records(self.store, CodesEnded).get(self._end_mark_key(code.subject), self.now())
        return ended is not None and code.made_at <= ended.value.ended_at

    def _draw_link(self, borrower_number: str, lasts: timedelta) -> tuple[str, Code]:
        """Return a new token and its code.

        The token begins with the handle of the borrower's links.
        """
        now = self.now()
        token = self._handle(borrower_number) + secrets.token_hex(16)
        return token, Code(borrower_number, self._token_hash(token), now, now + lasts)

    @property
    def _stored_codes(self) -> Records[StoredCodes]:
        return Records(self.store, StoredCodes)

    def _code_hash(self, owner: CodeOwner, digits: str) -> str:
        return self.hmacs.compute("code", *owner, digits)

    def _token_hash(self, token: str) -> str:
        return self.hmacs.compute("PIN link token", token)

    def _key(self, owner: CodeOwner) -> Key:
        return Key("code", self.hmacs.compute("codes", *owner))

    def _end_mark_key(self, subject: str) -> Key:
        return Key("code", self.hmacs.compute("codes ended", subject))

    def _links_key(self, borrower_number: str) -> Key:
        return self._handle_key(self._handle(borrower_number))

    def _handle(self, borrower_number: str) -> str:
        digits = self.hmacs.compute("PIN links handle", borrower_number).partition(".")[2]
        return digits[:_HANDLE]

    def _handle_key(self, handle: str) -> Key:
        return Key("code", self.hmacs.compute("PIN links", handle))


def _list_live(record: Record[StoredCodes] | None, now: datetime) -> StoredCodes:
    """Return the codes of a record that have not expired."""
    return record.value.drop_expired(now) if record else StoredCodes()
