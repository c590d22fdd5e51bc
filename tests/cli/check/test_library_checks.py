"""Findings of ``broker check`` about the library system."""

from dataclasses import replace
from pathlib import Path

import pytest

from broker.app.assembly import Parts, assemble, now
from broker.app.policy_configuration import check_categories
from broker.cli.check import checks
from broker.cli.check.checks import find_all
from broker.cli.check.checks import find_library_faults as findings
from broker.configuration.settings.config import load
from broker.core.borrowers.library_setup import ALL_CAPABILITIES, LibraryCapability, SetupFault
from broker.demo.run.demo_folder import Setting
from tests.plugins.deployment import Deployment


class Library:
    """A library system of some capabilities, and with one fault of its set-up."""

    def __init__(self, *lacking: LibraryCapability, fault: str = "") -> None:
        """Lack some."""
        self.capabilities = ALL_CAPABILITIES - set(lacking)
        self.fault = fault

    def check_setup(self, *_: object) -> tuple[SetupFault, ...]:
        """Give the fault, if there is one."""
        return (SetupFault(self.fault, f"the fault is {self.fault}"),) if self.fault else ()


@pytest.fixture(name="parts")
def _parts(setting: Setting, tmp_path: Path) -> Parts:
    environ = {"BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}"}
    return assemble(load(setting.folder / "broker.toml", environ))


def find_messages(parts: Parts, library: Library) -> list[str]:
    """Give what is found of a library system."""
    return list(findings(replace(parts, library=library)))  # type: ignore[arg-type]  # as far as it is asked


def test_a_system_that_can_all_is_not_complained_about(parts: Parts) -> None:
    """Nor one that lacks what only few people meet."""
    assert find_messages(parts, Library()) == []
    assert find_messages(parts, Library(LibraryCapability.LISTED, LibraryCapability.SETUP_TRIED)) == []


def test_without_mailed_codes_the_library_system_must_lock_accounts(parts: Parts) -> None:
    """``mail_code = "never"`` leaves guesses of PINs to the library system."""
    account = parts.config.library_account.model_copy(update={"mail_code": "never"})
    config = parts.config.model_copy(update={"library_account": account})
    (told,) = checks._settings(replace(parts, config=config))
    assert told.startswith("library_account.mail_code: ")
    assert "FailedLoginAttempts" in told


def test_a_fault_of_the_set_up_is_told_with_where_the_system_is_sought(parts: Parts) -> None:
    """Its address only where it does not answer."""
    assert find_messages(parts, Library(fault="category X")) == ["library: the fault is category X"]
    (down,) = find_messages(parts, Library(fault="unavailable"))
    assert down.startswith(f"library: the fault is unavailable ({parts.config.library.url}: see library.url")


def test_a_system_that_keeps_no_number_unique_is_told(parts: Parts) -> None:
    """The guarantee of one borrower is the system's own (docs/reference/design.md#4c)."""
    (told,) = find_messages(parts, Library(LibraryCapability.UNIQUE_CPR))
    assert told.startswith("library.system: it may create two borrowers")


def test_services_with_the_library_account_are_reported_if_no_pin_is_checked(parts: Parts) -> None:
    """Each service that offers the library account."""
    library = Library(LibraryCapability.PIN_CHECKED)
    told = find_messages(parts, library)
    places = [line.partition(": the library system")[0] for line in told]
    offering = [
        f"services.{service.name}"
        for service in parts.services.values()
        if any(parts.upstreams[name].local for name in service.methods)
    ]
    assert offering
    assert places == offering
    assert set(told) <= set(find_all(replace(parts, library=library)))  # type: ignore[arg-type]  # likewise


def test_a_check_of_policies_asks_whether_every_category_exists(shared_deployment: Deployment) -> None:
    """The running library system names the one that it lacks; one that does not answer is said, and lacks nothing."""
    config, policies = shared_deployment.parts.config, shared_deployment.parts.policies.current
    assert check_categories(config, policies, now()) == ((), "")
    first, *others = policies.policies
    assert first.borrower
    unknown = replace(first, borrower=replace(first.borrower, category="NOSUCH"))
    lacking, note = check_categories(config, replace(policies, policies=(unknown, *others)), now())
    assert any("NOSUCH" in each for each in lacking)
    assert not note
    gone = config.library.model_copy(update={"url": "http://127.0.0.1:9"})
    assert check_categories(config.model_copy(update={"library": gone}), policies, now())[0] == ()
