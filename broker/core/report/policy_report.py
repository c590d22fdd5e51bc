"""The content of the report for the data protection officer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from broker.core.entities import Service, Text, Upstream
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE
from broker.core.policy.model import Policy
from broker.core.report.disclosures import Disclosures

# The receivers other than services. No service can have such a name.
LIBRARY_SYSTEM: Final = "library_system"
MAIL_SERVER: Final = "mail_server"


@dataclass(frozen=True, slots=True)
class LibraryAnswers:
    """The statements of broker.toml for the report, about the library and about each receiver.

    ``receivers`` says by name how long a receiver keeps the data, whether it takes them out of the
    EU and the EEA, and by which law it may have CPR numbers.
    """

    name: Text | None = None
    email: str = ""
    phone: str = ""
    page: Text | None = None
    officer: str = ""
    privacy_notice: Text | None = None
    joint_controllers: Text | None = None
    security: Text | None = None
    receivers: Mapping[str, Text] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """The report for the data protection officer.

    ``digest`` is that of the policies. ``folder`` is where they are, None for those configured.
    ``library_mode`` is live or frozen. ``https``, ``message_log`` and ``shared_store`` are
    the security measures that the configuration decides.
    """

    day: date
    base_url: str
    digest: str
    folder: str | None
    disclosures: Disclosures
    services: tuple[Service, ...]
    upstreams: tuple[Upstream, ...]
    answers: LibraryAnswers
    library_system: str
    library_mode: str
    https: bool
    message_log: bool
    shared_store: bool
    labels: Mapping[str, Text] = field(repr=False)
    register: str = ""  # the register of persons, if one is configured

    @property
    def receiving(self) -> tuple[Service, ...]:
        """Return the services that receive anything."""
        given = {each.service for each in self.disclosures.releases}
        return tuple(service for service in self.services if service.name in given)

    @property
    def policies(self) -> tuple[Policy, ...]:
        """Return the policies by which anything is sent or written."""
        found = [each.policy for each in self.disclosures.releases]
        found += [each.policy for each in self.disclosures.borrowers]
        return tuple({policy.affiliation: policy for policy in found}.values())

    def purposes(self, language: str) -> dict[str, tuple[str, ...]]:
        """Return every purpose with its services."""
        found: dict[str, dict[str, None]] = {}
        for each in self.disclosures.releases:
            service = self.service_label(each.service)[language]
            found.setdefault(each.release.purpose[language], {})[service] = None
        return {purpose: tuple(names) for purpose, names in found.items()}

    def categories(self, language: str) -> tuple[str, ...]:
        """Return the labels of all attributes that are released or written."""
        names: dict[str, None] = {}
        for given in self.disclosures.releases:
            names |= {listed.name: None for listed in given.attributes}
        for written in self.disclosures.borrowers:
            names[CPR_ATTRIBUTE] = None
            for each in written.fields:
                names |= {_attribute(source): None for source in each.sources}
        return tuple(dict.fromkeys(self.attribute_label(name)[language] for name in names))

    def service_label(self, name: str) -> Text:
        """Return the label of a service."""
        return next(each.label for each in self.services if each.name == name)

    def upstream_label(self, name: str) -> Text:
        """Return the label of an upstream."""
        return next(each.label for each in self.upstreams if each.name == name)

    def attribute_label(self, name: str) -> Text:
        """Return the label of an attribute, or its name if it has no label."""
        return self.labels.get(name, Text(name, name))


def _attribute(source: str) -> str:
    """Return the attribute that a borrower field comes from; a proved mailbox is a mail address."""
    return "mail" if source.startswith("proof.") else source
