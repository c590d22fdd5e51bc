"""The register's page in the demo: its persons, who was looked up, and a fault to switch on."""

from typing import Final

from flask import Flask, redirect, render_template, request
from werkzeug.wrappers import Response

from broker.demo.register.register_faults import RegisterFaults
from broker.demo.register.simulated_datafordeler import SimulatedDatafordeler

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
# The switches that each choice of the page turns on; all others are off.
_CHOICES: Final[dict[str, dict[str, object]]] = {
    "None: it answers": {},
    "Down": {"down": True},
    "Slow: a minute to each answer": {"slow": 60.0},
    "Quota gone": {"quota_gone": True},
    "Certificate of another authority": {"wrong_certificate": True},
    "Knows nobody": {"unknown": True},
    "Half a record of everybody": {"half_a_record": True},
}
_OFF: Final[dict[str, object]] = {
    "down": False,
    "slow": 0.0,
    "quota_gone": False,
    "wrong_certificate": False,
    "unknown": False,
    "half_a_record": False,
}


def create_app(register: SimulatedDatafordeler) -> Flask:
    """Return the page; for loopback ``POST /__faults`` takes the switches as JSON."""
    app = Flask("broker.demo")

    @app.get("/")
    def page() -> str:
        return render_template(
            "register.html",
            rows=register.rows,
            looked_up=register.looked_up,
            choices=tuple(_CHOICES),
            chosen=_chosen(register.faults),
        )

    @app.post("/")
    def choose() -> Response:
        wanted = _CHOICES.get(request.form.get("fault", ""))
        if wanted is not None:
            register.faults.set(_OFF | wanted)
        return redirect("/", 303)

    @app.post("/__faults")
    def set_faults() -> tuple[str, int]:
        wanted = request.get_json(silent=True)
        if request.remote_addr not in _LOOPBACK:
            return "", 403
        if not isinstance(wanted, dict):
            return "", 400
        try:
            register.faults.set(wanted)
        except ValueError:
            return "", 400
        return "", 204

    return app


def _chosen(faults: RegisterFaults) -> str:
    """Return the choice that the switches stand for; "" where they were set otherwise."""
    now = {name: getattr(faults, name) for name in _OFF}
    for choice, switches in _CHOICES.items():
        if now == _OFF | switches:
            return choice
    return ""
