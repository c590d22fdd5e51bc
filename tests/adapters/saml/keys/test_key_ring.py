"""The broker's own keys: generated_keys once, read whole, and refused when anything about them is wrong."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from broker.adapters.saml.keys.key_ring import generate, list_keys, load, make_pair
from broker.core.errors import ConfigurationFaults

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
BEGIN = b"-----BEGIN CERTIFICATE-----"


@pytest.fixture(scope="module")
def generated_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generate keys once, smaller than in service to be quicker."""
    folder = tmp_path_factory.mktemp("made") / "keys"
    generate(folder, NOW, 2048)
    return folder


@pytest.fixture
def keys(generated_keys: Path, tmp_path: Path) -> Path:
    """Give a copy of the keys that a test may spoil."""
    return Path(shutil.copytree(generated_keys, tmp_path / "keys"))


def faults(folder: Path) -> list[str]:
    """Give each fault of a folder as one line."""
    with pytest.raises(ConfigurationFaults) as caught:
        load(folder)
    return [str(each) for each in caught.value.faults]


def write_slot(path: Path) -> None:
    """Write a new key and its certificate into a slot."""
    pair = make_pair("slot", NOW, 2048)
    path.write_bytes(pair.private + pair.certificate)
    path.chmod(0o600)


def _strip_certificate(folder: Path) -> None:
    path = folder / "idp-signing" / "current.pem"
    path.write_bytes(path.read_bytes().split(BEGIN)[0])


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """Write a private key as the folder has it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.profile(7)
def test_every_use_has_a_key_of_its_own(keys: Path) -> None:
    """Signing and encryption, idp and sp: no key serves two purposes, and the certificate is that key's."""
    ring = load(keys)
    pairs = [ring.idp.signing, *ring.idp.decryption, ring.sp.signing, *ring.sp.decryption]
    assert len({each.private for each in pairs}) == 4
    for pair in pairs:
        key = load_pem_private_key(pair.private, None)
        assert isinstance(key, rsa.RSAPrivateKey)
        assert key.key_size == 2048
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        assert certificate.public_key() == key.public_key()
        assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc
    assert ring.sealing.keys() == {ring.sealing_id}
    assert len({ring.index.key, ring.person.key, *ring.sealing.values()}) == 3


def test_keys_are_their_owners_alone(keys: Path) -> None:
    """Files are 0600 and folders 0700 whatever the umask says."""
    modes = {each.stat().st_mode & 0o777 for each in keys.rglob("*") if each.is_file()}
    folders = {each.stat().st_mode & 0o777 for each in (keys, *keys.rglob("*")) if each.is_dir()}
    assert (modes, folders) == ({0o600}, {0o700})


def test_nothing_is_ever_overwritten(keys: Path) -> None:
    """A second generate refuses and leaves every octet as it was: a lost person key changes every NameID."""
    before = {each: each.read_bytes() for each in keys.rglob("*") if each.is_file()}
    with pytest.raises(ConfigurationFaults, match="holds something already"):
        generate(keys, NOW, 2048)
    assert {each: each.read_bytes() for each in keys.rglob("*") if each.is_file()} == before


def test_nothing_shows_a_key(keys: Path) -> None:
    """No repr of a ring or of any part of it holds a private key or a secret."""
    ring = load(keys)
    shown = repr(ring) + repr(ring.idp) + repr(ring.sp.signing) + repr(ring.index)
    assert "PRIVATE" not in shown
    assert all(repr(each)[2:-1] not in shown for each in (ring.index.key, ring.person.key, *ring.sealing.values()))


def test_the_next_key_is_published_before_it_signs(keys: Path) -> None:
    """Current and next signing certificates are published, the previous is not; only the current signs."""
    for slot in ("next", "previous"):
        write_slot(keys / "idp-signing" / f"{slot}.pem")
    ring = load(keys)
    assert [
        certificate in (keys / "idp-signing" / "current.pem").read_bytes()
        for certificate in ring.idp.signing_certificates
    ] == [True, False]
    assert ring.idp.signing_certificates[1] in (keys / "idp-signing" / "next.pem").read_bytes()
    assert ring.idp.signing.certificate == ring.idp.signing_certificates[0]


def test_every_slot_decrypts_and_only_the_current_is_published(keys: Path) -> None:
    """A peer with older metadata encrypts to the previous key for a while, one with newer to the next."""
    for slot in ("next", "previous"):
        write_slot(keys / "sp-encryption" / f"{slot}.pem")
    ring = load(keys)
    assert len(ring.sp.decryption) == 3
    assert ring.sp.encryption_certificate in (keys / "sp-encryption" / "current.pem").read_bytes()


def _swap(folder: Path) -> None:
    own, other = (folder / f"{role}-signing" / "current.pem" for role in ("idp", "sp"))
    key, certificate = own.read_bytes().split(BEGIN)[0], other.read_bytes().split(BEGIN)[1]
    own.write_bytes(key + BEGIN + certificate)


def _short(folder: Path) -> None:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
    (folder / "idp-signing" / "current.pem").write_bytes(pem(key))


def _elliptic(folder: Path) -> None:
    (folder / "idp-signing" / "current.pem").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda keys: (keys / "idp-signing" / "current.pem").unlink(), "current.pem: cannot be read: No such file"),
        (lambda keys: (keys / "idp-signing" / "current.pem").write_bytes(b"x"), "holds no unencrypted PEM private key"),
        (_strip_certificate, "holds no PEM certificate after its key"),
        (_swap, "current.pem: holds the certificate of another key"),
        (_short, "holds an RSA key of 1024 bits; at least 2048 are needed"),
        (_elliptic, "holds no RSA key"),
        (
            lambda keys: (keys / "sp-encryption" / "current.pem").chmod(0o644),
            "current.pem: is open to its group or others",
        ),
        (lambda keys: keys.chmod(0o750), "keys: is open to its group or others"),
        (lambda keys: (keys / "index.key").unlink(), "index.key: is missing or empty"),
        (lambda keys: (keys / "person.key").write_bytes(b"short"), "person.key: holds 5 octets where 32 are a key"),
        (lambda keys: (keys / "store" / "current").write_text("other"), "current: names no key of this folder"),
        (lambda keys: (keys / "store" / "current").unlink(), "current: names no key of this folder"),
    ],
)
def test_a_fault_is_told_with_its_file(keys: Path, spoil: Callable[[Path], object], fault: str) -> None:
    """One thing wrong is one fault, which names the file and quotes no key."""
    spoil(keys)
    found = faults(keys)
    assert len(found) == 1, found
    assert fault in found[0]


def test_no_folder_is_a_fault_that_names_the_command(tmp_path: Path) -> None:
    """A first start says how keys are generated_keys."""
    assert faults(tmp_path / "none") == [f"{tmp_path}/none: is no folder (broker keys generate)"]


def test_the_listing_shows_no_secret(keys: Path) -> None:
    """``broker keys list`` prints fingerprints."""
    assert load(keys).index.key.hex() not in repr(list(list_keys(keys)))
