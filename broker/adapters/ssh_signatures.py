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
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from broker.core.errors import ConfigurationFaults, Fault, LeadsNowhere

_PROGRAM: Final = "ssh-keygen"
_BEGINS: Final = b"-----BEGIN SSH SIGNATURE-----"
_LARGEST: Final = 20_000  # octets: of RSA with 16,384 bits it is 6,000
_DEADLINE: Final = 10.0
_KEY: Final = re.compile("with [A-Z0-9-]+ key (SHA256:[A-Za-z0-9+/]{43})$", re.MULTILINE)
_LISTED: Final = re.compile(r"^[^#\n]*?\s((?:ssh|ecdsa|sk)-\S+ [A-Za-z0-9+/=]+)", re.MULTILINE)
_PRINCIPALS: Final = re.compile(r'\s*("[^"]*"|\S+)')
_EXPIRED: Final = "key has expired"
_NOT_YET: Final = "key is not yet valid"
_NOBODY: Final = "No user exists for uid"


class SignatureRefused(LeadsNowhere):
    """A signature that does not count, in a sentence with what to do."""

    about = "policy"


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as ssh-keygen writes it, and the ``name`` by which people are told of it."""

    name: str
    octets: bytes

    @classmethod
    def read(cls, path: Path) -> "Signature":
        """Return what a file holds; OSError where it cannot be read."""
        with path.open("rb") as file:
            return cls(str(path), file.read(_LARGEST + 1))

    def __str__(self) -> str:
        """Return its name."""
        return self.name


@dataclass(frozen=True, slots=True)
class SshSignatures:
    """The signatures over one text, by keys of ``allowed``: a file of allowed signers.

    They count as keys stand there now, or as they stood ``at`` a time: a key that has expired since
    takes nothing back. Every method raises ConfigurationFaults where there is no ssh-keygen, or
    where it cannot be asked now: that says nothing of a signature.

    Source: ssh-keygen(1), ALLOWED SIGNERS; OpenSSH PROTOCOL.sshsig.
    """

    allowed: bytes
    namespace: str
    text: str
    at: datetime | None = None

    def principals_and_key(self, given: Signature) -> tuple[tuple[str, ...], str]:
        """Return every name of who made a signature, and the fingerprint of their key.

        SignatureRefused for what is no signature, for another text, or of a key that may not sign.
        """
        octets = given.octets
        if not octets.lstrip().startswith(_BEGINS) or len(octets) > _LARGEST:
            raise SignatureRefused(f"{given} is no signature: make it as broker policy plan prints")
        with self._files(octets) as (allowed, signature):
            valid = self._run("check-novalidate", signature)
            if valid.returncode:
                change = "of another change (another base, set, site or broker)"
                what = f"is damaged, or {change}, or signed without -n {self.namespace}"
                raise SignatureRefused(f"{given} {what}; sign what broker policy plan prints now")
            found = self._run("find-principals", signature, "-f", allowed)
            if found.returncode or not found.stdout.strip():
                raise SignatureRefused(f"{given} is signed by a key that {_unknown(found.stderr)}")
            principal = re.split("[,\n]", found.stdout)[0]
            verified = self._run("verify", signature, "-f", allowed, "-I", principal)
        key = _KEY.search(verified.stdout)
        if verified.returncode or key is None:
            what = f"policy.signers has not for the namespace {self.namespace}"
            raise SignatureRefused(f"{given} is signed by a key that {what}")
        return tuple(dict.fromkeys((principal, *principals_of(self.allowed, key[1])))), key[1]

    def speaks_for(self, given: Signature, principal: str) -> bool:
        """Return whether a signature counts as that of this principal, too."""
        with self._files(given.octets) as (allowed, signature):
            return not self._run("verify", signature, "-f", allowed, "-I", principal).returncode

    @contextmanager
    def _files(self, octets: bytes) -> Iterator[tuple[str, str]]:
        """Give the names of files that nobody changes between one question and the next."""
        try:
            with TemporaryDirectory() as folder:
                allowed = Path(folder) / "allowed"
                signature = Path(folder) / "signature"
                allowed.write_bytes(self.allowed)
                signature.write_bytes(octets)
                yield str(allowed), str(signature)
        except OSError as error:
            raise _unasked(str(error)) from None

    def _run(self, question: str, signature: str, *more: str) -> "subprocess.CompletedProcess[str]":
        program = shutil.which(_PROGRAM)
        if program is None:
            raise ConfigurationFaults([missing_program()])
        called = (program, "-Y", question)
        try:
            done = subprocess.run(  # noqa: S603 - files of ours, and a principal of the configured list
                (*called, "-n", self.namespace, "-s", signature, *more, *self._as_of(question)),
                input=f"{self.text}\n",
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                env=_environment(),
                timeout=_DEADLINE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _unasked(f"no answer for {_DEADLINE:.0f} seconds") from None
        # Whoever was killed, or is nobody on this machine, has looked at no signature.
        if done.returncode < 0:
            raise _unasked(f"ended by signal {-done.returncode}")
        if done.stderr.startswith(_NOBODY):
            raise _unasked(done.stderr.strip())
        return done

    def _as_of(self, question: str) -> tuple[str, ...]:
        """Return the option for the time at which keys must have been good, in local time."""
        if self.at is None or question == "check-novalidate":
            return ()
        return ("-O", f"verify-time={self.at.astimezone():%Y%m%d%H%M%S}")


def missing_program() -> Fault:
    """Return the fault of a machine without ssh-keygen."""
    what = f"{_PROGRAM}, which verifies signatures, is not on this machine"
    return Fault("policy.signers", what, "install openssh-client")


def _unasked(why: str) -> ConfigurationFaults:
    """Return the faults of a machine on which ssh-keygen cannot be asked now."""
    what = f"{_PROGRAM}, which verifies signatures, cannot be asked: {why}"
    return ConfigurationFaults([Fault("policy.signers", what, "try it by hand, as this user")])


def is_installed() -> bool:
    """Return whether this machine has ssh-keygen."""
    return shutil.which(_PROGRAM) is not None


def key_count(allowed: bytes) -> int:
    """Return how many keys a file of allowed signers has; a key on two lines is one."""
    text = allowed.decode("utf-8", "replace")
    return len(set(_LISTED.findall(text)))


@dataclass(frozen=True, slots=True)
class ListedKey:
    """One line of a file of allowed signers: the names that it gives to a key."""

    line: int
    names: tuple[str, ...]
    fingerprint: str


def listed_keys(allowed: bytes) -> Iterator[ListedKey]:
    """Yield the lines of a file of allowed signers that give a key to somebody."""
    for number, line in enumerate(allowed.decode("utf-8", "replace").splitlines(), 1):
        listed = _LISTED.match(line)
        written = _PRINCIPALS.match(line)
        if listed and written:
            names = written[0].strip().strip('"').split(",")
            yield ListedKey(number, tuple(filter(None, names)), _fingerprint(listed[1]))


def principals_of(allowed: bytes, fingerprint: str) -> Iterator[str]:
    """Yield every principal that a file of allowed signers gives a key, on whichever lines."""
    for each in listed_keys(allowed):
        if each.fingerprint == fingerprint:
            yield from each.names


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


def _unknown(said: str) -> str:
    if _EXPIRED in said:
        return "has expired by policy.signers: put another there, or move its valid-before"
    if _NOT_YET in said:
        return "is not yet valid by policy.signers"
    return "policy.signers has not: have it put there, or sign with another"
