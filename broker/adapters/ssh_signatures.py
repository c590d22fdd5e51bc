"""Signatures of ssh-keygen over a line of text, verified by ssh-keygen itself."""

import binascii
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from broker.core.errors import ConfigurationFaults, Fault, LeadsNowhere

_PROGRAM: Final = "ssh-keygen"
_BEGINS: Final = b"-----BEGIN SSH SIGNATURE-----"
_LARGEST: Final = 20_000  # octets: of RSA with 16,384 bits it is 6,000
_DEADLINE: Final = 10.0
_KEY: Final = re.compile("with [A-Z0-9-]+ key (SHA256:[A-Za-z0-9+/]{43})$", re.MULTILINE)
_LISTED: Final = re.compile(
    r"^[^#\n]*?\s((?:ssh|ecdsa|sk)-\S+ [A-Za-z0-9+/=]+)",
    re.MULTILINE,
)
_PRINCIPALS: Final = re.compile(r'\s*("[^"]*"|\S+)')
_EXPIRED: Final = "key has expired"
_NOT_YET: Final = "key is not yet valid"


class SignatureRefused(LeadsNowhere):
    """A signature that does not count, in a sentence with what to do."""

    about = "policy"


@dataclass(frozen=True, slots=True)
class SshSignatures:
    """The signatures over one text, by keys of ``allowed``: a file of allowed signers.

    Every method raises ConfigurationFaults where there is no ssh-keygen.

    Source: ssh-keygen(1), ALLOWED SIGNERS; OpenSSH PROTOCOL.sshsig.
    """

    allowed: bytes
    namespace: str
    text: str

    def principals_and_key(self, path: Path) -> tuple[tuple[str, ...], str]:
        """Return every name of who made the signature in a file, and the fingerprint of their key.

        SignatureRefused for what is no signature, for another text, or of a key that may not sign
        now. OSError where the file cannot be read.
        """
        octets = _read(path)
        if not octets.lstrip().startswith(_BEGINS) or len(octets) > _LARGEST:
            raise SignatureRefused(f"{path} is no signature: make it as broker policy plan prints")
        with self._files(octets) as (allowed, signature):
            valid = self._run("check-novalidate", signature)
            if valid.returncode:
                change = "of another change (another base, set, site or broker)"
                what = f"is damaged, or {change}, or signed without -n {self.namespace}"
                raise SignatureRefused(f"{path} {what}; sign what broker policy plan prints now")
            found = self._run("find-principals", signature, "-f", allowed)
            if found.returncode or not found.stdout.strip():
                raise SignatureRefused(f"{path} is signed by a key that {_unknown(found.stderr)}")
            principal = re.split("[,\n]", found.stdout)[0]
            verified = self._run("verify", signature, "-f", allowed, "-I", principal)
        key = _KEY.search(verified.stdout)
        if verified.returncode or key is None:
            what = f"policy.signers has not for the namespace {self.namespace}"
            raise SignatureRefused(f"{path} is signed by a key that {what}")
        return tuple(dict.fromkeys((principal, *principals_of(self.allowed, key[1])))), key[1]

    def speaks_for(self, path: Path, principal: str) -> bool:
        """Return whether the signature in a file counts as that of this principal, too."""
        with self._files(_read(path)) as (allowed, signature):
            return not self._run("verify", signature, "-f", allowed, "-I", principal).returncode

    @contextmanager
    def _files(self, octets: bytes) -> Iterator[tuple[str, str]]:
        """Give the names of files that nobody changes between one question and the next."""
        with TemporaryDirectory() as folder:
            allowed = Path(folder) / "allowed"
            signature = Path(folder) / "signature"
            allowed.write_bytes(self.allowed)
            signature.write_bytes(octets)
            yield str(allowed), str(signature)

    def _run(self, question: str, signature: str, *more: str) -> "subprocess.CompletedProcess[str]":
        program = shutil.which(_PROGRAM)
        if program is None:
            raise ConfigurationFaults([missing_program()])
        try:
            return subprocess.run(  # noqa: S603 - files of ours, and a principal of the configured list
                (program, "-Y", question, "-n", self.namespace, "-s", signature, *more),
                input=f"{self.text}\n",
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                env=_environment(),
                timeout=_DEADLINE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            what = f"{program} has not answered for {_DEADLINE:.0f} seconds"
            raise SignatureRefused(f"{what}: try it by hand") from None


def missing_program() -> Fault:
    """Return the fault of a machine without ssh-keygen."""
    what = f"{_PROGRAM}, which verifies signatures, is not on this machine"
    return Fault("policy.signers", what, "install openssh-client")


def is_installed() -> bool:
    """Return whether this machine has ssh-keygen."""
    return shutil.which(_PROGRAM) is not None


def key_count(allowed: bytes) -> int:
    """Return how many keys a file of allowed signers has; a key on two lines is one."""
    text = allowed.decode("utf-8", "replace")
    return len(set(_LISTED.findall(text)))


def principals_of(allowed: bytes, fingerprint: str) -> Iterator[str]:
    """Yield every principal that a file of allowed signers gives a key, on whichever lines."""
    for line in allowed.decode("utf-8", "replace").splitlines():
        listed = _LISTED.match(line)
        names = _PRINCIPALS.match(line)
        if listed and names and _fingerprint(listed[1]) == fingerprint:
            yield from (name for name in names[0].strip().strip('"').split(",") if name)


def _fingerprint(public: str) -> str:
    try:
        octets = binascii.a2b_base64(public.split()[1])
    except binascii.Error:
        return ""
    digest = binascii.b2a_base64(hashlib.sha256(octets).digest(), newline=False)
    return f"SHA256:{digest.decode().rstrip('=')}"


def _environment() -> dict[str, str]:
    """Return what ssh-keygen needs of ours, which may hold secrets: its dates are local times."""
    kept = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}
    return {**kept, "LC_ALL": "C"}


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LARGEST + 1)


def _unknown(said: str) -> str:
    if _EXPIRED in said:
        return "has expired by policy.signers: put another there, or move its valid-before"
    if _NOT_YET in said:
        return "is not yet valid by policy.signers"
    return "policy.signers has not: have it put there, or sign with another"
