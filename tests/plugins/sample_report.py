"""A policy report of the shipped policies for an invented library, with some answers missing."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

from broker.configuration import attribute_maps
from broker.configuration.policies import live_policies
from broker.core.entities import Assurance, Controller, Institution, Service, Text, Upstream
from broker.core.login.site import Site
from broker.core.policy_analysis.sample_logins import Analysis
from broker.core.report.disclosures import find_disclosures
from broker.core.report.policy_report import LibraryAnswers, PolicyReport

ROOT: Final = Path(__file__).resolve().parents[2]
NOW: Final = datetime(2026, 11, 26, 12, tzinfo=UTC)
MAPS: Final = attribute_maps.load(ROOT / "attribute_maps")
NASTY: Final = "<script>alert('1')</script>&amp;"
AU: Final = Institution(
    "https://au.example", scopes=("au.dk",), may_assert=frozenset({"cpr"}), max_assurance=Assurance.LOW
)
EID: Final = Institution("https://eid.example", may_assert=frozenset({"cpr"}), national_eid=True)
UPSTREAMS: Final = (
    Upstream("wayf", "wayf", "w", "s", "wayf", Text("University login", "Universitetslogin"), (AU,)),
    Upstream("nemid", "oiosaml3", "n", "s", "oiosaml3", Text("MitID", "MitID"), (EID,), subject_hint=True),
    Upstream("library", "library", "", "", "", Text("Library account", "Lånerkonto")),
)
WAYS: Final = tuple(upstream.name for upstream in UPSTREAMS)
LIBRARY: Final = Controller(Text("The Library", "Biblioteket"), "dpo@library.example")
LOANS: Final = Service("my-loans", "https://loans.example", Text("My loans", "Mine lån"), WAYS, LIBRARY, encrypts=True)
SERVICES: Final = (
    LOANS,
    replace(LOANS, name="myprint", label=Text(f"Print {NASTY}", f"Print {NASTY}"), encrypts=False),
    replace(LOANS, name="e-resources", label=Text("E-resources", "E-ressourcer"), controller=None),
    replace(LOANS, name="unheard-of", label=Text("Unheard of", "Ukendt")),
)
DATED: Final = Text("one year", "et år")
ANSWERS: Final = LibraryAnswers(
    name=Text("The Example Library", "Eksempelbiblioteket"),
    email="help@library.example",
    officer="dpo@library.example",
    joint_controllers=Text("none", "ingen"),
    receivers={"my-loans": DATED, "myprint": Text(f"one year; in the US on the ground {NASTY}", "et år")},
)


@cache
def build_sample_report() -> PolicyReport:
    """Return the report; it is built once."""
    policies = live_policies.load(ROOT / "policies", NOW)
    services = {each.name: each for each in SERVICES}
    site = Site(services, {each.name: each for each in UPSTREAMS}, MAPS.maps)
    return PolicyReport(
        day=NOW.date(),
        base_url="https://login.library.example",
        digest=policies.digest,
        folder=None,
        disclosures=find_disclosures(Analysis((policies,), (site,), NOW)),
        services=SERVICES,
        upstreams=UPSTREAMS,
        answers=ANSWERS,
        library_system="koha",
        library_mode="frozen",
        https=True,
        message_log=True,
        shared_store=False,
        register="datafordeler",
        labels=MAPS.labels,
    )
