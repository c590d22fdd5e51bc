"""The parts of a broker are joined as its promises need them."""

from pathlib import Path

from broker.app.assembly import assemble
from broker.configuration.settings.config import load
from broker.demo.run.demo_folder import Setting
from broker.use_cases.library_system.guarded_library import GuardedLibrary


def test_all_changes_of_borrowers_use_the_guarded_library(setting: Setting, tmp_path: Path) -> None:
    """Enrolments and PINs share one guarded connection to the library system."""
    parts = assemble(load(setting.config, {"BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}"}))
    assert isinstance(parts.library, GuardedLibrary)
    assert parts.enrolments.ports.library is parts.library
    assert parts.pins.library is parts.library
