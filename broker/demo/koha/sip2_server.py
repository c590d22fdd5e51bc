"""The machines' port of the simulated Koha, over the same patrons as the REST API."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from broker.demo.circulation.machine_server import TERMINALS, serve_machines
from broker.demo.koha.loans import Circulation
from broker.demo.koha.sip2_session import Sip2Session

__all__ = ["TERMINALS", "serve_sip2"]


def serve_sip2(
    circulation: Circulation, port: int = 0, terminals: Mapping[str, str] = TERMINALS
) -> AbstractContextManager[int]:
    """Serve machines on 127.0.0.1 while the block runs; yield the port. Port 0 is a free one."""
    return serve_machines(lambda: Sip2Session(circulation, terminals), port)
