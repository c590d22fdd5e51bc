"""Runs the simulated Koha for the suite, in each setup that prevents duplicate borrowers."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from werkzeug.wrappers import Response

from broker.adapters.library_systems.koha.koha_library import KohaSettings
from broker.core.borrowers.library_setup import ALL_CAPABILITIES, LibraryCallObserver
from broker.demo.koha.database.administration import FOUR_DIGIT_PINS, Administration
from broker.demo.koha.database.injected_faults import InjectedFaults
from broker.demo.koha.simulated_koha import create_app
from broker.demo.run.loopback_server import serve_on_loopback
from tests.conformance.library_suite.stage import MANY, Kind, SoundKeys, Stage, Strike, Trouble
from tests.conformance.library_suite.troubled_front import TroubledFront
from tests.conformance.library_suite.values import QUOTED

_SECRET: Final = "demo-secret-that-nobody-sees"
_OWN: Final = {"client_id": "broker", "client_secret": "demo", "library_id": "AUL", "card_number": "cpr"}


class KohaDesk:
    """Staff of the simulated Koha."""

    def __init__(self, patrons: Any, front: TroubledFront) -> None:
        """Use this simulation."""
        self._patrons, self._front = patrons, front

    def register(self, card: str, category: str, user_name: str = "") -> str:
        """Register a patron."""
        body = {"surname": "Desk", "library_id": "AUL", "category_id": category, "cardnumber": card}
        if user_name:
            body["userid"] = user_name
        return str(self._patrons.create(body)["patron_id"])

    def close(self, number: str) -> None:
        """Delete the patron."""
        self._patrons.drop(int(number))

    def merge(self, kept: str, merged: str) -> None:
        """Merge patrons."""
        self._patrons.merge(int(kept), int(merged))

    def count(self) -> int:
        """Count the patrons."""
        return len(self._patrons.rows())

    def proves(self, typed: str, pin: str) -> bool:
        """Try a PIN."""
        return self._patrons.find_by_password(typed, pin) is not None

    def cause_trouble(self, trouble: Trouble, after: int = 0, times: int = MANY) -> AbstractContextManager[Strike]:
        """Let requests of the connector fail while the block runs."""
        return self._front.cause_trouble(trouble, after, times)


def _refusal() -> Response:
    return Response(f'{{"error": "No such luck: {QUOTED}"}}', 400, mimetype="application/json")


@contextmanager
def _koha(
    observe: LibraryCallObserver, settings: Mapping[str, object], administration: Administration
) -> Iterator[Stage]:
    app = create_app(administration=administration, faults=InjectedFaults(race_window=0.005))
    front = TroubledFront(app.wsgi_app, _refusal)
    app.wsgi_app = front  # type: ignore[method-assign]  # as Flask documents it
    with serve_on_loopback(app) as url:
        library = KohaSettings.read({**settings, "url": url}).open(observe)
        yield Stage(library, KohaDesk(app.extensions["koha"].patrons, front))


def _kind(unique_field: str, cpr_attribute: str = "", administration: Administration = FOUR_DIGIT_PINS) -> Kind:
    keys = {**_OWN, "unique_field": unique_field, "cpr_attribute": cpr_attribute}
    sound = SoundKeys(KohaSettings.read, {**keys, "url": "https://koha.example", "client_secret": _SECRET}, (_SECRET,))
    return Kind("koha", ALL_CAPABILITIES, lambda observe: _koha(observe, keys, administration), sound)


KINDS: Final[Mapping[str, Kind]] = {
    "koha, unique user name and attribute": _kind("userid", "CPR"),
    "koha, unique user name": _kind("userid"),
    "koha, unique card number": _kind("cardnumber"),
    "koha, newest release": _kind("userid", administration=FOUR_DIGIT_PINS.as_newest()),
}
