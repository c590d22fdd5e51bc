"""Checks of the staff view as written: its institution."""

from typing import Final

from broker.configuration.checked_files import did_you_mean
from broker.configuration.settings.raw_settings import Check, Faults, RawSettings, RawTable
from broker.configuration.settings.upstream_checks import institutions_of
from broker.core.errors import Fault


def _check_institution(raw: RawSettings) -> Faults:
    """Refuse an institution that no upstream has, or that its upstream never asks."""
    admin = raw.table("admin")
    institution = admin.text("institution")
    if institution is None:
        return
    known: dict[str, RawTable] = {}
    for upstream in raw.tables("upstreams"):
        for table in institutions_of(upstream):
            known[str(table.get("entity_id"))] = upstream
    if institution not in known:
        fix = did_you_mean(institution, known) or f"entity_ids there are {', '.join(known)}"
        what = f"{institution} is an institution of no upstream"
        yield Fault(admin.where("institution"), what, fix)
        return
    only = known[institution].texts("only")
    if only and institution not in only:
        where = f"upstreams.{known[institution].name}.only"
        yield Fault(admin.where("institution"), f"{institution} is not in {where}", "add it there")


CHECKS: Final[tuple[Check, ...]] = (_check_institution,)
