"""The calls of an enrolment at an Alma, with a machine that tells PINs and without one."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from werkzeug.wrappers import Response

from broker.adapters.library_systems.alma import AlmaSettings
from broker.adapters.library_systems.alma_budget import CallBudget
from broker.demo.alma.administration import Administration
from broker.demo.alma.alma_desk import AlmaDesk
from broker.demo.alma.refusals import broken, general_error, not_found
from broker.demo.alma.simulated_alma import Simulation, create_app
from broker.demo.alma.sip2_session import Sip2Session
from broker.demo.circulation.machine_server import TERMINALS, serve_machines
from tests.plugins.fault_matrix.wire import Call, MachineFront, WireFront, hosted

_MANY: Final = 1_000_000
_USERS: Final = r"^GET /almaws/v1/users/"
_BY_NUMBER: Final = _USERS + r"0101990000\?user_id_type=CPR "
_NUMBERED: Final = _USERS + r"L-[0-9a-f]{32}\?"
CALLS: Final[Mapping[str, Call]] = {
    "find, by CPR number": Call(_BY_NUMBER),
    "find, by barcode": Call(_USERS + r"0101990000\?user_id_type=BARCODE "),
    "find, by primary id": Call(_USERS + r"0101990000\?user_id_type=all_unique "),
    "count": Call(_BY_NUMBER, 1),
    "marked": Call(_NUMBERED, during="renumbered"),
    "create": Call(r"^POST /almaws/v1/users "),
    "change, GET": Call(_NUMBERED, during="upgrade"),
    "change, PUT": Call(r"^PUT .*override=user_group", during="upgrade"),
    "change, look after": Call(_NUMBERED, 1, during="upgrade"),
    "read": Call(_NUMBERED),
    "set PIN, GET": Call(_NUMBERED, 1),
    "set PIN, PUT": Call(r"^PUT .*override=pin_number"),
}
OF_THE_MACHINE: Final[Mapping[str, Call]] = {
    "prove PIN, GET": Call(_NUMBERED, 2),
    "prove PIN, machine": Call(r"^SIP2 63"),
}


class AlmaWords:
    """What an Alma says of what goes wrong."""

    def __init__(self, alma: Simulation) -> None:
        """Speak for one."""
        self._alma = alma

    def refused(self) -> Response:
        """Refuse by a code that says nothing."""
        return _error(general_error("401860").body, 400)

    def broken(self) -> Response:
        """Fail."""
        return _error(broken().body, 500)

    def void(self, environ: dict[str, Any], carry_out: Callable[[], Response]) -> Response:
        """Find nobody, or do the work and undo it."""
        if environ["REQUEST_METHOD"] == "GET":
            return _error(not_found("nobody", None).body, 400)
        before = self._alma.users.saved()
        answer = carry_out()
        self._alma.users.restore(before)
        return answer


def _error(body: object, status: int) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")


class WiredAlma:
    """A simulated Alma with its connector on the wire, and what its staff see."""

    def __init__(self, alma: Simulation, library: Any, front: WireFront) -> None:
        """Begin without a user."""
        self.alma, self.library, self.front = alma, library, front

    def borrowers(self) -> list[tuple[str, str]]:
        """Give number and group of each user."""
        return [(row["primary_id"], row["user_group"]) for row in self.alma.users.rows()]

    def has_pin(self, number: str, pin: str) -> bool:
        """Say whether this is the PIN."""
        return self.alma.users.has_pin(self.alma.users.read(number), pin)

    def renumber(self, cpr: str) -> None:
        """Give the only user another CPR number, as staff do."""
        (row,) = self.alma.users.rows()
        written = [{**each, "value": cpr} for each in row["user_identifier"]]
        self.alma.users.edit(row["primary_id"], user_identifier=written)


class AlmaHost:
    """One port of a gateway and one of a machine, for one Alma after another."""

    def __init__(self, url: str, front: WireFront) -> None:
        """Serve none yet."""
        self.url, self.front = url, front
        self.machine_port = 0
        self._desk: AlmaDesk | None = None

    def session(self) -> MachineFront:
        """Begin a connection of a machine."""
        assert self._desk
        return MachineFront(Sip2Session(self._desk, TERMINALS), self.front.fault)

    def new(self, *, with_machine: bool, **settings: object) -> WiredAlma:
        """Give an Alma without users."""
        groups = {"STUD": "Student", "EMPL": "Employee", "PRIV": "Private"}
        rules = dict.fromkeys(groups, ("200",))
        set_up = Administration(user_groups=groups, role_rules=rules, per_second=_MANY, per_day=_MANY)
        app = create_app(administration=set_up)
        alma: Simulation = app.extensions["alma"]
        self._desk = AlmaDesk(alma.users, alma.loans)
        self.front.stand_before(app.wsgi_app, AlmaWords(alma))
        keys: dict[str, object] = {"url": self.url, "api_key": "demo", "external_id": "SIS", "daily_calls": _MANY}
        keys |= {"cpr_identifier_type": "CPR", "card_number": "cpr", **settings}
        if with_machine:
            login, password = next(iter(TERMINALS.items()))
            keys["sip2"] = {"host": "127.0.0.1", "port": self.machine_port, "login": login, "password": password}
        library = AlmaSettings.read(keys).open()
        # Its limits have tests of their own.
        library._calls.budget = CallBudget(_MANY, _MANY)
        return WiredAlma(alma, library, self.front)


@contextmanager
def alma_host() -> Iterator[AlmaHost]:
    """Serve while the block runs."""
    with ExitStack() as ports:
        host = AlmaHost(*ports.enter_context(hosted()))
        host.machine_port = ports.enter_context(serve_machines(host.session))
        yield host


class ByTheWorldsClock:
    """A library system whose deadlines are those of a world's clock: on the wire another runs."""

    def __init__(self, library: Any, now: Callable[[], datetime]) -> None:
        """Stand before it."""
        self._library, self._now = library, now

    def __getattr__(self, name: str) -> Any:
        """Give what it has, with deadlines as far off as they are in the world."""
        member = getattr(self._library, name)
        if not callable(member):
            return member

        def called(*given: Any) -> Any:
            return member(*map(self._real, given))

        return called

    def _real(self, value: Any) -> Any:
        return datetime.now(UTC) + (value - self._now()) if isinstance(value, datetime) else value
