"""The shipped attribute maps and their reader."""

from pathlib import Path

import pytest

from broker.configuration import attribute_maps
from broker.core.errors import ConfigurationFaults
from broker.core.identity.canonical_attributes import OURS, find_outgoing_row

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = attribute_maps.load(ROOT / "attribute_maps")
LABELS = "labels:\n  sn: {en: Surname, da: Efternavn}\n"
MAP = "reads:\n"


def faults(folder: Path, **files: str) -> list[str]:
    """Return the faults of a folder with these files."""
    for name, text in {"labels": LABELS, **files}.items():
        (folder / f"{name}.yaml").write_text(text)
    with pytest.raises(ConfigurationFaults) as found:
        attribute_maps.load(folder)
    return [str(each).removeprefix(folder.name + "/") for each in found.value.faults]


def test_wayf_is_read_by_both_of_its_names() -> None:
    """Each attribute with an OID has a row for it and one for the plain name."""
    rows = SHIPPED.maps["wayf"].rows
    oids = {row.name for row in rows if row.wire.startswith("urn:")}
    assert oids <= {row.name for row in rows if not row.wire.startswith("urn:")}
    assert [row.wire for row in rows if row.name == "cpr"] == [
        "urn:oid:1.3.6.1.4.1.25178.1.2.15",
        "urn:oid:1.3.6.1.4.1.2428.90.1.5",
        "schacPersonalUniqueID",
        "norEduPersonNIN",
    ]


def test_identities_are_single_and_of_an_exact_scope() -> None:
    """A doubled or foreign eppn, subject-id, pairwise-id or home organisation must refuse.

    Source: docs/reference/attacks.md#21 and #22.
    """
    identities = {row.name: row.properties for row in SHIPPED.maps["wayf"].rows if row.properties.identity}
    scoped = {"eduPersonPrincipalName", "subject-id", "pairwise-id", "schacHomeOrganization"}
    assert identities.keys() == scoped | {"cprUuid"}
    assert all(identities[name].single and identities[name].scope == "exact" for name in scoped)


def test_the_library_gets_number_and_cpr_as_it_reads_them() -> None:
    """The borrower number is uid on the wire, the CPR the schacPersonalUniqueID URN.

    Source: docs/reference/design.md#5.
    """
    library = SHIPPED.maps["library"]
    number, cpr = find_outgoing_row(library, "borrower_number"), find_outgoing_row(library, "cpr")
    assert number is not None
    assert cpr is not None
    assert (number.wire, number.friendly_name) == ("urn:oid:0.9.2342.19200300.100.1.1", "uid")
    assert cpr.write("0101010110") == "urn:mace:terena.org:schac:personalUniqueID:dk:CPR:0101010110"
    assert (cpr.wire, cpr.friendly_name) == ("urn:oid:1.3.6.1.4.1.25178.1.2.15", "schacPersonalUniqueID")


def test_people_see_every_attribute_by_a_label_in_both_languages() -> None:
    """Also what is ours to say; and a policy may name it all."""
    names = {row.name for each in SHIPPED.maps.values() for row in each.rows}
    assert names <= SHIPPED.labels.keys()
    assert SHIPPED.labels["cpr"]["da"] == "CPR-nummer"
    assert SHIPPED.attributes >= OURS
    assert "eduPersonScopedAffiliation" in SHIPPED.attributes


def test_only_what_is_read_is_completed(tmp_path: Path) -> None:
    """A service's map that completes names would send what nobody was shown."""
    out = "complete: true\nwrites:\n  sn: x\n"
    assert faults(tmp_path, out=out) == [
        "out.yaml:1: the file: complete is for reading: remove it from a service's map"
    ]
    assert {name for name, each in SHIPPED.maps.items() if each.completes_names} == {"oiosaml2", "oiosaml3"}


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_own_attributes_cannot_be_asserted(tmp_path: Path, name: str) -> None:
    """Else an institution could claim a hospital's mailbox, or another's borrower number.

    Source: docs/reference/design.md#5.
    """
    labels = LABELS + f"  {name}: {{en: x, da: x}}\n"
    found = faults(tmp_path, wayf=MAP + f"  x: {name}\n", labels=labels)
    assert found == [f"wayf.yaml:2: reads.x: an upstream cannot assert {name}: remove the line"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (MAP + "  x: sn\n  x: sn\n", "wayf.yaml:3: has 'x' twice (the first is in line 2)"),
        (MAP + "  x: {name: sn}\n", "wayf.yaml:2: reads.x: must be a text"),
        (MAP + "  - x: sn\n", "wayf.yaml:1: reads: must be a mapping"),
        (MAP + "  x: ''\n", "wayf.yaml:2: reads.x: must not be empty"),
        (
            MAP + "  sn: urn:oid:2.5.4.4\n",
            "wayf.yaml:2: reads.sn: urn:oid:2.5.4.4 is a name on the wire, not one of ours",
        ),
        (
            "writes:\n  urn:oid:2.5.4.4: sn\n",
            "wayf.yaml:2: writes.urn:oid:2.5.4.4: urn:oid:2.5.4.4 is a name on the wire, not one of ours",
        ),
        (MAP + "  x: sn\nwrites:\n  sn: x\n", "wayf.yaml:1: the file: must have either reads, for what"),
        (MAP + "  x: sn\nscope: sub\n", "wayf.yaml:3: unknown key 'scope'"),
        (MAP + "  x: gn\n", "labels.yaml:1: no label for gn"),
        ("complete: true\n", "wayf.yaml:1: the file: must have either reads, for what"),
        ("- a\n", "wayf.yaml:1: the file: must be a mapping"),
    ],
)
def test_a_faulty_map_is_refused_with_line_and_mend(tmp_path: Path, text: str, fault: str) -> None:
    """Each fault where it stands, and how to fix it."""
    assert faults(tmp_path, wayf=text)[0].startswith(fault)


def test_a_folder_without_maps_or_labels_is_refused(tmp_path: Path) -> None:
    """An empty folder is a mistake, not a request."""
    with pytest.raises(ConfigurationFaults, match="holds no attribute map"):
        attribute_maps.load(tmp_path)
    (tmp_path / "wayf.yaml").write_text(MAP + "  x: sn\n")
    with pytest.raises(ConfigurationFaults, match=r"labels\.yaml: cannot be read"):
        attribute_maps.load(tmp_path)
