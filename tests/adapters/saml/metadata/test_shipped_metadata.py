"""The example descriptors of metadata/examples and the products of docs/connect.md."""

import re
import shutil
from pathlib import Path
from typing import Final

import pytest
from lxml import etree

from broker.adapters.saml.metadata import metadata_folder
from broker.adapters.saml.metadata.wanted_entities import WantedIds

ROOT: Final = Path(__file__).resolve().parents[4]
EXAMPLES: Final = sorted((ROOT / "metadata" / "examples").glob("*.xml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_read_without_a_notice(example: Path, tmp_path: Path) -> None:
    """The broker finds the role, a signing key and the addresses that a login needs."""
    shutil.copy(example, tmp_path)
    entity_id = str(etree.parse(example).getroot().get("entityID"))
    wanted = frozenset((entity_id,))
    is_service = example.name.startswith("service-")
    ids = WantedIds(frozenset(), wanted, frozenset()) if is_service else WantedIds(wanted, frozenset(), frozenset())
    found = metadata_folder.read(tmp_path, ids)
    assert (found.faults, found.broken, found.notices) == ({}, (), ())
    if is_service:
        service = found.metadata.services[entity_id]
        assert service.keys
        assert service.encryption_certificate
        assert service.default_acs.location.startswith("https://")
    else:
        upstream = found.metadata.upstreams[entity_id]
        assert upstream.keys
        assert upstream.sso.startswith("https://")


def test_each_product_of_the_documents_has_an_example() -> None:
    """docs/connect.md names in its first table each product, and what it is to the broker."""
    text = (ROOT / "docs" / "connect.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\[.+?) \| ([a-z, ]+) \| ", text, re.MULTILINE)
    named = {
        f"{role}-{product.lower().replace(' ', '_')}"
        for products, roles in rows
        for product in re.findall(r"\[([^]]+)\]", products)
        for role in roles.split(", ")
    }
    assert named == {path.stem for path in EXAMPLES}
