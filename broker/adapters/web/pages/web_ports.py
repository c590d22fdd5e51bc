"""What the endpoints are handed by the composition root: the flow, the faces and what pages need."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from flask import Request

from broker.adapters.web.pages.cookies import BrowserCookies
from broker.adapters.web.pages.form_tokens import FormTokens
from broker.core.entities import Service, Text, Upstream
from broker.core.ports import ServiceFace, Trail, UpstreamFace
from broker.flows.login.login import LoginFlow


class LogPort(Protocol):
    """Where what happened is told, one event at a time, without personal values."""

    def __call__(self, event: str, **facts: str | int | None) -> None:
        """Tell one event with its facts."""
        ...


class TracePort(Protocol):
    """What the service desk finds by a reference for 30 days."""

    def leave(self, reference: str, now: datetime, *, known: bool, **facts: str | None) -> None:
        """Keep step, time, upstream, reason and enrolment under ``reference``; never fails a request.

        ``known`` says that it is a person's login: strangers' refusals have a quota of their own.
        """
        ...


@dataclass(frozen=True, slots=True)
class WebPorts:
    """Everything an endpoint may reach; adapters only through ports."""

    broker: LoginFlow
    service_face: ServiceFace
    upstream_face: UpstreamFace
    cookies: BrowserCookies
    forms: FormTokens
    now: Callable[[], datetime]
    events: LogPort
    traces: TracePort
    trail: Trail
    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    labels: Mapping[str, Text]  # canonical attribute name to what people call it
    base_url: str
    unexpected: Callable[[BaseException, str], None]
    shared: Callable[[Request], bool]  # whether several people use the computer that asks
    network: Callable[[Request], str]  # the network that asks, as limits count
    library: Text  # what people call the library
    sign_up: str | None = None  # the address of our sign-up pages, where there are any
    local: str | None = None  # the upstream where the library system verifies a number and PIN
    patience: float = 5.0
