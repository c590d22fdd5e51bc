"""The links as the store keeps them: durable, for as long as a person may come again."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from broker.core.errors import StoreUnavailable
from broker.core.identity.identifier_reassignment import PersonLink
from broker.core.ports import Key, Store
from broker.flows.records import Content, Record, Records

# Losing a person id would change every persistent NameID built on it, so a link in use never
# expires.
_KEPT: Final = timedelta(days=20 * 365)
_HOLDS_WITHOUT_CPR: Final = timedelta(days=365)  # docs/reference/design.md#names
MOST_TRIES: Final = 20

T = TypeVar("T")
LinkRecord = Record[PersonLink]


@dataclass(frozen=True, slots=True)
class LinkRecords:
    """The links of names and CPR numbers, all of them pseudonyms.

    Source: docs/reference/design.md#sealing.
    """

    store: Store
    now: Callable[[], datetime]

    def read(self, name: str | None) -> LinkRecord | None:
        """Return the link of a name or CPR number; None where there is none, of no name either."""
        if not name:
            return None
        return self._records.get(_key(name), self.now())

    def add(self, name: str, link: PersonLink) -> LinkRecord | None:
        """Write the first link of a name; None where another wrote one meanwhile."""
        now = self.now()
        return self._records.add(_key(name), link, now + _KEPT, now)

    def replace(self, named: LinkRecord, link: PersonLink) -> LinkRecord | None:
        """Write ``link`` in the place of ``named``; None where another wrote meanwhile."""
        now = self.now()
        content = Content(link, now + _KEPT)
        return self._records.write(named.key, content, named.version, now)

    def amend(self, name: str, change: Callable[[PersonLink], PersonLink]) -> None:
        """Write what ``change`` makes of a link as it stands; nothing where there is none."""
        now = self.now()

        def changed(record: LinkRecord | None) -> Content[PersonLink] | None:
            if record is None:
                return None
            link = change(record.value)
            if link == record.value:
                return None
            return Content(link, now + _KEPT)

        self._records.amend(_key(name), changed, now)

    def number(self, link: PersonLink) -> str | None:
        """Return the borrower that a link leads to, or None.

        A borrower is remembered by the CPR; the name learns of it at its next login only.
        """
        kept = self.read(link.cpr)
        if kept:
            return kept.value.number
        return link.number

    def is_stale(self, link: PersonLink) -> bool:
        """Return whether a link has gone unconfirmed for so long that its name may be another's."""
        return self.now() - link.confirmed > _HOLDS_WITHOUT_CPR

    @property
    def _records(self) -> Records[PersonLink]:
        return Records(self.store, PersonLink, durable=True, tries=MOST_TRIES)


def _key(name: str) -> Key:
    return Key("link", name)


def until_written(decide: Callable[[], T | None]) -> T:
    """Call ``decide`` until it returns something: None means that another wrote meanwhile."""
    for _ in range(MOST_TRIES):
        decided = decide()
        if decided is not None:
            return decided
    raise StoreUnavailable("a link is changed by others all the time")
