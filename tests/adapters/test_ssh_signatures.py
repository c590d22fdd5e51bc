"""Signatures of ssh-keygen, made and verified by the real one: whose count, and what is said of the others."""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.adapters.ssh_signatures import Signature, SignatureRefused, SshSignatures, key_count
from broker.core.errors import ConfigurationFaults

pytestmark = pytest.mark.server  # ssh-keygen itself

TEXT = "policies of https://login.library.example: change 2"
NAMESPACE = "broker-policy"


@dataclass(frozen=True)
class Key:
    """A key of a person."""

    path: Path

    @property
    def public(self) -> str:
        """Give its public half, as a list of signers has it."""
        return " ".join(self.path.with_suffix(".pub").read_text().split()[:2])

    def sign(self, text: str = TEXT, namespace: str = NAMESPACE) -> Path:
        """Sign a line."""
        done = subprocess.run(
            ("ssh-keygen", "-Y", "sign", "-n", namespace, "-f", self.path),
            input=f"{text}\n".encode(),
            capture_output=True,
            check=True,
        )
        path = self.path.with_suffix(".sig")
        path.write_bytes(done.stdout)
        return path


def key(folder: Path, name: str) -> Key:
    """Make a key."""
    path = folder / name
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path), check=True)
    return Key(path)


@pytest.fixture(scope="module")
def kirsten(tmp_path_factory: pytest.TempPathFactory) -> Key:
    """Give the maker's key."""
    return key(tmp_path_factory.mktemp("keys"), "kirsten")


@pytest.fixture(scope="module")
def mads(tmp_path_factory: pytest.TempPathFactory) -> Key:
    """Give the approver's key."""
    return key(tmp_path_factory.mktemp("keys"), "mads")


def signatures(*lines: str) -> SshSignatures:
    """Give the signatures that a list of signers allows."""
    return SshSignatures("\n".join(lines).encode(), NAMESPACE, TEXT)


def test_a_signature_says_who_and_by_which_key(kirsten: Key, mads: Key) -> None:
    """By the line of the list that has the key; comments and other options there stop nothing."""
    allowed = signatures(
        "# who may sign",
        f'kirsten@library.example,ki namespaces="{NAMESPACE}" {kirsten.public} her laptop',
        f"mads@library.example {mads.public}",
    )
    found = {allowed.principals_and_key(Signature.read(each.sign())) for each in (kirsten, mads)}
    assert {names for names, _ in found} == {("kirsten@library.example", "ki"), ("mads@library.example",)}
    assert len({fingerprint for _, fingerprint in found}) == 2
    assert all(fingerprint.startswith("SHA256:") for _, fingerprint in found)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('kirsten valid-before="20250101" {key}', "has expired by policy.signers"),
        ('kirsten valid-after="20990101" {key}', "is not yet valid by policy.signers"),
        ('kirsten namespaces="git" {key}', "policy.signers has not for the namespace broker-policy"),
        ("kirsten ssh-ed25519 AAAA", "policy.signers has not: have it put there"),
        ("no list of signers", "policy.signers has not: have it put there"),
        ("", "policy.signers has not: have it put there"),
    ],
)
def test_a_key_that_may_not_sign_now_is_refused(kirsten: Key, line: str, said: str) -> None:
    """With what the list says of it."""
    with pytest.raises(SignatureRefused) as refused:
        signatures(line.format(key=kirsten.public)).principals_and_key(Signature.read(kirsten.sign()))
    assert said in str(refused.value)


def test_a_key_counts_as_it_stood_when_it_signed(kirsten: Key) -> None:
    """Whoever looks later finds it expired, and the signature good; before it was good it is refused."""
    line = f'kirsten valid-after="20250101",valid-before="20260101" {kirsten.public}'
    given = Signature.read(kirsten.sign())
    for at, said in (((2025, 6), ""), ((2024, 6), "is not yet valid"), ((2026, 6), "has expired")):
        allowed = SshSignatures(line.encode(), NAMESPACE, TEXT, datetime(*at, 1, 12, tzinfo=UTC))
        if said:
            with pytest.raises(SignatureRefused, match=said):
                allowed.principals_and_key(given)
        else:
            assert allowed.principals_and_key(given)[0] == ("kirsten",)
        assert allowed.speaks_for(given, "kirsten") is not bool(said)


@pytest.mark.parametrize(
    ("text", "namespace"), [(TEXT + "0", NAMESPACE), (TEXT, "git"), (TEXT, "file"), ("", NAMESPACE)]
)
def test_a_signature_for_something_else_is_refused(kirsten: Key, text: str, namespace: str) -> None:
    """Of another change, or made for mail or Git."""
    said = r"is damaged, or of another change .*, or signed without -n broker-policy;"
    with pytest.raises(SignatureRefused, match=said):
        signatures(f"kirsten {kirsten.public}").principals_and_key(Signature.read(kirsten.sign(text, namespace)))


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0" * 100,
        b"ssh-ed25519 AAAA",
        b"-----BEGIN SSH SIGNATURE-----\n" * 10,
        b"-----BEGIN SSH SIGNATURE-----" * 999,
    ],
)
def test_garbage_is_refused(kirsten: Key, tmp_path: Path, octets: bytes) -> None:
    """In one sentence that names the file."""
    path = tmp_path / "-Y sign.sig"
    path.write_bytes(octets)
    with pytest.raises(SignatureRefused) as refused:
        signatures(f"kirsten {kirsten.public}").principals_and_key(Signature.read(path))
    assert str(refused.value).startswith(f"{path} is ")


def test_a_machine_without_ssh_keygen_says_so(kirsten: Key, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With what to install."""
    path = kirsten.sign()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationFaults, match="install openssh-client"):
        signatures(f"kirsten {kirsten.public}").principals_and_key(Signature.read(path))


def test_a_signature_speaks_for_every_name_of_its_key(kirsten: Key, mads: Key) -> None:
    """Also where the first line of the key has another, or a pattern matches."""
    allowed = signatures(f"kirsten {kirsten.public}", f"mads {mads.public}", f"k*@b,mads {kirsten.public}")
    path = kirsten.sign()
    assert [allowed.speaks_for(Signature.read(path), name) for name in ("kirsten", "mads", "kk@b", "other")] == [
        True,
        True,
        True,
        False,
    ]


def test_every_name_of_a_key_is_found(kirsten: Key, mads: Key) -> None:
    """On whichever lines it stands, in quotes too; those of comments and of other keys are none."""
    lines = (
        f"# no {kirsten.public}",
        f'"ki,k b" {kirsten.public}',
        "broken ssh-ed25519 A",
        f"mads {mads.public}",
        f'kirsten,ki namespaces="{NAMESPACE}" {kirsten.public}',
    )
    names, _ = signatures(*lines).principals_and_key(Signature.read(kirsten.sign()))
    assert sorted(names) == ["k b", "ki", "kirsten"]


def test_the_keys_of_a_list_are_counted(kirsten: Key, mads: Key) -> None:
    """A key on two lines is one, and one in a comment is none."""
    lines = [f"a {kirsten.public}", f'b,c namespaces="x",valid-before="20990101" {kirsten.public} again']
    assert key_count("\n".join(lines).encode()) == 1
    assert key_count("\n".join([*lines, f"# d {mads.public}"]).encode()) == 1
    assert key_count("\n".join([*lines, f"d {mads.public}"]).encode()) == 2
    assert key_count(b"") == 0


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("kill -9 $$", "ended by signal 9"),
        ("echo 'No user exists for uid 999' >&2; exit 255", "No user exists for uid"),
    ],
)
def test_a_program_that_looked_at_nothing_says_nothing_of_a_signature(
    kirsten: Key, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, does: str, said: str
) -> None:
    """The machine is at fault, also where a question that is answered with no would do: a key of somebody else."""
    given = Signature.read(kirsten.sign())
    program = tmp_path / "ssh-keygen"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    allowed = signatures(f"kirsten {kirsten.public}")
    for ask in (lambda: allowed.principals_and_key(given), lambda: allowed.speaks_for(given, "kirsten")):
        with pytest.raises(ConfigurationFaults, match=f"cannot be asked: {said}"):
            ask()


def test_a_disk_that_takes_no_more_says_nothing_of_a_signature(
    kirsten: Key, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nor does a machine without a folder for what is temporary."""
    given = Signature.read(kirsten.sign())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(ConfigurationFaults, match=r"cannot be asked: .*No such file or directory"):
        signatures(f"kirsten {kirsten.public}").principals_and_key(given)
