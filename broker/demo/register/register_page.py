"""The register's page in the demo: its people, the look-ups, and faults to switch on."""

from typing import Any, Final

from flask import Flask, redirect, render_template, request
from werkzeug.wrappers import Response

from broker.demo.demo_app import create_demo_app
from broker.demo.register.register_faults import RegisterFaults
from broker.demo.register.simulated_datafordeler import SimulatedDatafordeler

# The Danish name of each choice, and the switches that it turns on; all others are off.
_CHOICES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "Nothing: it answers": ("Intet: Det svarer", {}),
    "Down": ("Ude af drift", {"down": True}),
    "Slow: a minute to each answer": ("Langsomt: et minut pr. svar", {"slow": 60.0}),
    "Quota gone": ("Kvoten er brugt", {"quota_gone": True}),
    "Certificate of another authority": (
        "Certifikat fra en anden udsteder",
        {"wrong_certificate": True},
    ),
    "Knows nobody": ("Kender ingen", {"unknown": True}),
    "Half a record of everybody": ("En halv post om alle", {"half_a_record": True}),
}


def create_app(register: SimulatedDatafordeler) -> Flask:
    """Return the page as a Flask application."""
    app = create_demo_app()

    @app.get("/")
    def page() -> str:
        return render_template(
            "register.html",
            rows=register.rows,
            looked_up=register.looked_up,
            choices=_CHOICES,
            chosen=_chosen(register.faults),
        )

    @app.post("/")
    def choose() -> Response:
        wanted = _CHOICES.get(request.form.get("fault", ""))
        if wanted is not None:
            vars(register.faults).update(vars(RegisterFaults(**wanted[1])))
        return redirect("/", 303)

    return app


def _chosen(faults: RegisterFaults) -> str:
    """Return the choice that matches the switches, "" if no choice does."""
    for choice, (_, switches) in _CHOICES.items():
        if faults == RegisterFaults(**switches):
            return choice
    return ""
