"""The calls of an enrolment at an Alma."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from werkzeug.wrappers import Response

from broker.adapters.library_systems.alma import AlmaSettings
from broker.demo.alma.administration import Administration
from broker.demo.alma.refusals import broken, general_error, not_found
from broker.demo.alma.simulated_alma import Simulation, create_app
from tests.plugins.fault_matrix.wire import Call, WireFront, hosted

_MANY: Final = 1_000_000
_USERS: Final = r"^GET /almaws/v1/users/"
_BY_NUMBER: Final = _USERS + r"0101990000\?user_id_type=CPR "
_NUMBERED: Final = _USERS + r"L-[0-9a-f]{32}\?"
CALLS: Final[Mapping[str, Call]] = {
    "find, by CPR number": Call(_BY_NUMBER),
    "find, by barcode": Call(_USERS + r"0101990000\?user_id_type=BARCODE "),
    "find, by primary id": Call(_USERS + r"0101990000\?user_id_type=all_unique "),
    "count": Call(_BY_NUMBER, 1),
    "find similar": Call(r"^GET /almaws/v1/users\?.*email"),
    "create": Call(r"^POST /almaws/v1/users "),
    "change, GET": Call(_NUMBERED, during="upgrade"),
    "change, PUT": Call(r"^PUT .*override=user_group", during="upgrade"),
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


class AlmaHost:
    """One port for one Alma after another."""

    def __init__(self, url: str, front: WireFront) -> None:
        """Serve none yet."""
        self.url, self.front = url, front

    def new(self) -> WiredAlma:
        """Give an Alma without users."""
        groups = {"STUD": "Student", "EMPL": "Employee", "PRIV": "Private"}
        rules = dict.fromkeys(groups, ("200",))
        set_up = Administration(user_groups=groups, role_rules=rules, per_second=_MANY, per_day=_MANY)
        app = create_app(administration=set_up)
        alma: Simulation = app.extensions["alma"]
        self.front.stand_before(app.wsgi_app, AlmaWords(alma))
        keys: dict[str, object] = {"url": self.url, "api_key": "demo", "external_id": "SIS"}
        keys |= {"cpr_identifier_type": "CPR", "card_number": "cpr"}
        library = AlmaSettings.read(keys).open()
        return WiredAlma(alma, library, self.front)


@contextmanager
def alma_host() -> Iterator[AlmaHost]:
    """Serve while the block runs."""
    with hosted() as (url, front):
        yield AlmaHost(url, front)


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
