"""The calls of an enrolment at a Koha."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from werkzeug.wrappers import Response

from broker.adapters.library_systems.koha import KohaSettings
from broker.demo.koha.administration import FOUR_DIGIT_PINS, Category
from broker.demo.koha.simulated_koha import Simulation, create_app
from tests.plugins.fault_matrix.wire import Call, WireFront, hosted

_ONE: Final = r"^GET /api/v1/patrons/1 "
_SEARCH: Final = r"^GET /api/v1/patrons\?.*userid"
CALLS: Final[Mapping[str, Call]] = {
    "token": Call(r"^POST /api/v1/oauth/token"),
    "find": Call(_SEARCH),
    "count": Call(_SEARCH, 1),
    "find similar": Call(r"^GET /api/v1/patrons\?.*date_of_birth"),
    "create": Call(r"^POST /api/v1/patrons "),
    "change, GET": Call(_ONE, during="upgrade"),
    "change, PUT": Call(r"^PUT /api/v1/patrons/1 ", during="upgrade"),
}


class KohaWords:
    """What a Koha says of what goes wrong."""

    def __init__(self, koha: Simulation) -> None:
        """Speak for one."""
        self._koha = koha

    def refused(self) -> Response:
        """Refuse."""
        return _told({"error": "Refused as it was planned"}, 400)

    def broken(self) -> Response:
        """Fail."""
        return _told({"error": "Something went wrong, check Koha logs for details."}, 500)

    def void(self, environ: dict[str, Any], carry_out: Callable[[], Response]) -> Response:
        """Find nobody, or do the work and undo it."""
        path = environ["PATH_INFO"]
        if path.endswith("/token"):
            return _told({"access_token": "nobody's", "token_type": "Bearer", "expires_in": 3600}, 200)
        if environ["REQUEST_METHOD"] == "GET":
            return _told([], 200) if path.endswith("/patrons") else _told({"error": "Patron not found."}, 404)
        patrons = self._koha.patrons
        before = None if path.endswith("/patrons") else patrons.saved(1)
        answer = carry_out()
        if before is None:
            patrons.drop(answer.get_json()["patron_id"])
        else:
            patrons.restore(1, before)
        return answer


def _told(body: object, status: int) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")


class WiredKoha:
    """A simulated Koha with its connector on the wire, and what its staff see."""

    def __init__(self, koha: Simulation, library: Any, front: WireFront) -> None:
        """Begin without a patron."""
        self.koha, self.library, self.front = koha, library, front

    def borrowers(self) -> list[tuple[str, str]]:
        """Give number and category of each patron."""
        return [(str(row["patron_id"]), row["category_id"]) for row in self.koha.patrons.rows()]


class KohaHost:
    """One port for one Koha after another."""

    def __init__(self, url: str, front: WireFront) -> None:
        """Serve none yet."""
        self.url, self.front = url, front

    def new(self) -> WiredKoha:
        """Give a Koha without patrons."""
        known = FOUR_DIGIT_PINS.categories["STUDENT"]
        categories: Mapping[str, Category] = dict.fromkeys(("STUD", "EMPL", "PRIV"), known)
        app = create_app(administration=replace(FOUR_DIGIT_PINS, categories=categories))
        koha: Simulation = app.extensions["koha"]
        self.front.stand_before(app.wsgi_app, KohaWords(koha))
        keys = {"url": self.url, "client_id": "broker", "client_secret": "demo", "library_id": "AUL"}
        library = KohaSettings.read({**keys, "unique_field": "userid", "card_number": "cpr"}).open()
        return WiredKoha(koha, library, self.front)


@contextmanager
def koha_host() -> Iterator[KohaHost]:
    """Serve while the block runs."""
    with hosted() as (url, front):
        yield KohaHost(url, front)
