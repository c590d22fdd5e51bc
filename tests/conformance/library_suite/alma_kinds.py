"""Runs the simulated Alma for the suite, with and without SIP2 to check PINs."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Final

from werkzeug.wrappers import Response

from broker.adapters.library_systems.alma.alma_library import AlmaSettings
from broker.core.borrowers.library_setup import LibraryCallObserver, LibraryCapability
from broker.demo.circulation.machine_server import TERMINALS, serve_machines
from broker.demo.run.loopback_server import serve_on_loopback
from tests.conformance.library_suite.stage import MANY, Kind, SoundKeys, Stage, Strike, Trouble
from tests.conformance.library_suite.troubled_front import TroubledFront
from tests.conformance.library_suite.values import QUOTED
from tests.conformance.simulated_alma.simulated_alma import create_app
from tests.conformance.simulated_alma.sip2_session import Sip2Session
from tests.conformance.simulated_alma.users import Users

_NAMES: Final = "INST_ID"
_KEY, _PASSWORD = "demo-key-that-nobody-sees", "demo-password-that-nobody-sees"
_OWN: Final[Mapping[str, object]] = {"api_key": "demo", "external_id": "SIS", "card_number": "cpr"}


class AlmaDesk:
    """Staff of the simulated Alma."""

    def __init__(self, users: Users, front: TroubledFront) -> None:
        """Use this simulation."""
        self._users, self._front = users, front

    def register(self, card: str, category: str, user_name: str = "") -> str:
        """Register a user with this barcode."""
        number = f"desk{len(self._users.rows())}"
        values = {"BARCODE": card} | ({_NAMES: user_name} if user_name else {})
        body = {
            "primary_id": number,
            "last_name": "Desk",
            "record_type": {"value": "PUBLIC"},
            "account_type": {"value": "INTERNAL"},
            "user_group": {"value": category},
            "user_identifier": [{"id_type": {"value": kind}, "value": value} for kind, value in values.items()],
        }
        return str(self._users.create(body)["primary_id"])

    def close(self, number: str) -> None:
        """Delete the user."""
        self._users.drop(number)

    def merge(self, kept: str, merged: str) -> None:
        """Merge users."""
        self._users.merge(kept, merged)

    def count(self) -> int:
        """Count the users."""
        return len(self._users.rows())

    def proves(self, typed: str, pin: str) -> bool:
        """Try a PIN."""
        return self._users.has_pin(self._users.read(typed, "BARCODE"), pin)

    def cause_trouble(self, trouble: Trouble, after: int = 0, times: int = MANY) -> AbstractContextManager[Strike]:
        """Let requests of the connector fail while the block runs."""
        return self._front.cause_trouble(trouble, after, times)


def _refusal() -> Response:
    error = f'{{"errorCode": "499999", "errorMessage": "No such luck: {QUOTED}"}}'
    return Response(f'{{"errorsExist": true, "errorList": {{"error": [{error}]}}}}', 400, mimetype="application/json")


@contextmanager
def _alma(observe: LibraryCallObserver, settings: Mapping[str, object], *, with_machine: bool) -> Iterator[Stage]:
    app = create_app()
    alma = app.extensions["alma"]
    front = TroubledFront(app.wsgi_app, _refusal)
    app.wsgi_app = front  # type: ignore[method-assign]  # as Flask documents it
    own = {**_OWN, **settings}
    with ExitStack() as open_ports:
        own["url"] = open_ports.enter_context(serve_on_loopback(app))
        if with_machine:
            port = open_ports.enter_context(serve_machines(lambda: Sip2Session(alma.users, TERMINALS)))
            login, password = next(iter(TERMINALS.items()))
            own["sip2"] = {"host": "127.0.0.1", "port": port, "login": login, "password": password}
        yield Stage(AlmaSettings.read(own).open(observe), AlmaDesk(alma.users, front))


_CAN: Final = frozenset({LibraryCapability.UNIQUE_CPR, LibraryCapability.SETUP_TRIED})
_TELLS: Final = {LibraryCapability.PIN_CHECKED, LibraryCapability.USER_NAMES}


def _kind(can: frozenset[LibraryCapability], settings: Mapping[str, object], *, with_machine: bool) -> Kind:
    keys: dict[str, object] = {**_OWN, **settings, "url": "https://alma.example", "api_key": _KEY}
    secrets = [_KEY]
    if with_machine:
        keys["sip2"] = {"host": "127.0.0.1", "port": 6001, "login": "broker", "password": _PASSWORD}
        secrets.append(_PASSWORD)
    sound = SoundKeys(AlmaSettings.read, keys, tuple(secrets))
    return Kind("alma", can, lambda observe: _alma(observe, settings, with_machine=with_machine), sound)


KINDS: Final[Mapping[str, Kind]] = {
    "alma, CPR identifier, machine": _kind(
        _CAN | _TELLS, {"cpr_identifier_type": "CPR", "user_name_identifier_type": _NAMES}, with_machine=True
    ),
    "alma, barcode alone": _kind(_CAN, {"cpr_identifier_type": "BARCODE"}, with_machine=False),
}
