"""The pages of the staff view that only show: the policies in force, and the report."""

from dataclasses import dataclass
from typing import Final

from flask import Blueprint
from werkzeug.wrappers import Response

from broker.adapters.web.admin.staff_door import PATH, StaffDoor
from broker.adapters.web.admin.staff_ports import StaffPorts
from broker.adapters.web.pages.language import language
from broker.core.staff import StaffPage

SHOWN: Final = 12  # digits of a digest, as the commands print them
_MOST_CHANGES: Final = 50


@dataclass(frozen=True, slots=True)
class StaffPages:
    """The endpoints over the door and the ports."""

    door: StaffDoor
    ports: StaffPorts

    def add_to(self, routes: Blueprint) -> None:
        """Add ``/admin/live`` and ``/admin/report``."""
        routes.get(f"{PATH}/report")(self.report)
        routes.get(f"{PATH}/live")(self.live)

    def report(self) -> Response:
        """Show who gets what and why, as it was made last."""
        member = self.door.allowed(StaffPage.REPORT)
        self.door.looked(member, StaffPage.REPORT)
        return self.door.page(
            "admin_report.html", member, reason="report", report=self.ports.report(language())
        )

    def live(self) -> Response:
        """Show which policies decide, in which worker, and who put them there."""
        member = self.door.allowed(StaffPage.LIVE)
        self.door.looked(member, StaffPage.LIVE)
        found = self.ports.live()
        return self.door.page(
            "admin_live.html",
            member,
            reason="live",
            live=found,
            changes=found.history[:_MOST_CHANGES],
            shown=SHOWN,
        )
