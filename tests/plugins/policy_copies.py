"""Copies of the shipped policies and metadata that a test changes before it starts a broker."""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from broker.demo.run.demo_folder import Setting

WHY = "{en: For the test, da: Til testen}"


def copy_site(setting: Setting, folder: Path) -> Path:
    """Copy policies, attribute maps and metadata of the demo into ``folder``, unless a test has done so."""
    site = folder / "site"
    for name in ("policies", "attribute_maps", "metadata"):
        if not (site / name).exists():
            shutil.copytree(setting.folder / name, site / name)
    return site


def write_release_entries(setting: Setting, folder: Path, entries: str) -> dict[str, str]:
    """Copy the policies, replace the e-resources entry in student.yaml, and return the broker's environment."""
    site = copy_site(setting, folder)
    student = site / "policies" / "student.yaml"
    before, _, rest = student.read_text().partition("  e-resources:")
    first, *examples = rest.partition("\nexamples:\n")[2].split("  - name: ")
    kept = [each for each in examples if "service: e-resources" not in each]
    student.write_text(before + entries + "\nexamples:\n" + "  - name: ".join([first, *kept]))
    return {"BROKER_SITE": str(site)}


def release_entry(service: str, attributes: Iterable[str], name_id: str = "transient", more: str = "") -> str:
    """Return a release entry without consent and enrolment; ``more`` are further lines of it."""
    listed = ", ".join(f"{{{each}: {{why: {WHY}}}}}" for each in attributes)
    return (
        f"  '{service}':\n    legal_basis: public_task\n"
        f"    purpose: {{en: To test, da: At teste}}\n    name_id: {name_id}\n{more}    none: [{listed}]\n"
    )


def add_entity_attribute(setting: Setting, folder: Path, service: str, name: str, *values: str) -> dict[str, str]:
    """Copy the metadata, add an entity attribute to a service, and return the broker's environment."""
    site = copy_site(setting, folder)
    path = site / "metadata" / f"{service}.xml"
    said = "".join(f"<saml:AttributeValue>{each}</saml:AttributeValue>" for each in values)
    extensions = (
        '<md:Extensions xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">'
        '<mdattr:EntityAttributes xmlns:mdattr="urn:oasis:names:tc:SAML:metadata:attribute">'
        '<saml:Attribute xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"'
        f' NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri" Name="{name}">{said}</saml:Attribute>'
        "</mdattr:EntityAttributes></md:Extensions>"
    )
    path.write_text(
        re.sub(r"(<[\w:]*EntityDescriptor[^>]*>)", lambda found: found[1] + extensions, path.read_text(), count=1)
    )
    return {"BROKER_SITE": str(site)}
