"""The parts of a broker are joined as its promises need them."""

from pathlib import Path

from broker.app.assembly import assemble
from broker.configuration.settings.config import load
from broker.demo.run.demo_folder import Setting
from broker.use_cases.library_system.guarded_library import GuardedLibrary


def test_whatever_changes_a_borrower_does_so_under_the_lock(setting: Setting, tmp_path: Path) -> None:
    """Enrolments, new PINs and the check of PINs have the library system from one hand."""
    parts = assemble(load(setting.config, {"BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}"}))
    assert isinstance(parts.library, GuardedLibrary)
    assert parts.enrolments.ports.library is parts.library
    assert parts.pins.library is parts.library
