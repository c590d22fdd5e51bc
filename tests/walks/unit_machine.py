"""A simulated machine with its own mounts: the broker under /opt, its user, and the restrictions of the shipped unit.

systemd itself is not started: what its unit asks for is done by mount namespaces and setpriv. Left out are the
filters of system calls and address families, and the hidden home folders, in one of which the interpreter may lie.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.plugins.programs import run_program

ROOT: Final = Path(__file__).resolve().parents[2]
UNIT: Final = ROOT / "deploy" / "broker.service"
WORK_UNIT: Final = UNIT.with_name("broker-work.service")
_SOURCE: Final = ("broker", "deploy", "docs")
_NEEDED: Final = ("unshare", "nsenter", "setpriv", "runuser", "useradd")

# /etc is a copy, /opt and /var/lib are empty; nothing of it is seen outside.
_SET_UP: Final = """
set -eu
mount --make-rprivate /
kept={kept}
mount -t tmpfs tmpfs $kept
cp -a /etc $kept/etc
mkdir $kept/opt $kept/python
mkdir -p $kept/opt/broker/.venv
for name in {source}; do
    mkdir $kept/opt/broker/$name
    mount --bind {root}/$name $kept/opt/broker/$name
done
mount --bind {venv} $kept/opt/broker/.venv
mount --bind {python} $kept/python
mount --rbind $kept/opt /opt
mount --bind $kept/etc /etc
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /run
if ! setpriv --reuid 65534 --regid 65534 --clear-groups test -x {python}/bin; then
    top=/$(echo {python} | cut -d/ -f2)
    mount -t tmpfs tmpfs $top
    mkdir -p {python}
    mount --bind $kept/python {python}
fi
printf '#!/bin/sh\\nPYTHONPATH=/opt/broker exec /opt/broker/.venv/bin/python -m broker.cli.main "$@"\\n' > $kept/broker
chmod 755 $kept $kept/broker
mount --bind $kept/broker /opt/broker/.venv/bin/broker
echo ready
exec sleep infinity
"""

# ProtectSystem=strict, PrivateTmp=, StateDirectory=, ConfigurationDirectory=.
_RESTRICT: Final = """
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs /tmp
mount --bind /var/lib/broker /var/lib/broker
for place in / /etc /opt /opt/broker/broker /var/lib /run; do
    mount -o remount,bind,ro $place
done
mount -t proc -o subset=pid,hidepid=invisible proc /proc
umask {umask}
ulimit -c 0
exec setpriv --reuid broker --regid broker --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all \\
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin STATE_DIRECTORY=/var/lib/broker \\
    {environment} {command}
"""


class Unit:
    """The settings of the shipped unit, read as systemd reads them."""

    def __init__(self, file: Path) -> None:
        """Read the unit."""
        text = file.read_text(encoding="utf-8")
        self.settings = re.findall(r"^([A-Za-z]+)=(.*)$", text, re.MULTILINE)

    def all(self, name: str) -> list[str]:
        """Return every value of a setting."""
        return [value for key, value in self.settings if key == name]

    def one(self, name: str) -> str:
        """Return the value of a setting that is there once."""
        (value,) = self.all(name)
        return value


class UnitMachine:
    """The machine: commands are run in it as root, or as the unit runs its own."""

    def __init__(self, pid: int) -> None:
        """Take the process whose mounts they are."""
        self.enter = ["nsenter", "-t", str(pid), "-m", "--"]
        self.unit = Unit(UNIT)

    def run(self, script: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        """Type a script into a shell of root's."""
        command = [*self.enter, "bash", "-c", f"shopt -s expand_aliases\n{script}"]
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)

    def write(self, path: str, text: str) -> None:
        """Write a file as the broker's user."""
        written = self.run(f"runuser -u broker -- tee {path} >/dev/null", input=text)
        assert written.returncode == 0, written.stderr

    def under_unit(self, command: str) -> list[str]:
        """Return the command line that runs ``command`` (as the unit writes it) under the unit's restrictions."""
        script = _RESTRICT.format(
            umask=self.unit.one("UMask"), environment=shlex.join(self.unit.all("Environment")), command=command
        )
        return [*self.enter, "unshare", "--mount", "bash", "-c", script]

    @contextmanager
    def serving(self, log: Any) -> Iterator[None]:
        """Start what both units start."""
        commands = [self.under_unit(unit.one("ExecStart")) for unit in (self.unit, Unit(WORK_UNIT))]
        with ExitStack() as stack:
            for command in commands:
                stack.enter_context(run_program(command, {}, stdout=log, stderr=log))
            yield


def _refusal() -> str:
    """Say why such a machine cannot be had here; "" where it can."""
    if os.geteuid() != 0:
        return "mounts need root"
    missing = [program for program in _NEEDED if shutil.which(program) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
    )
    return "this container may not mount" if tried.returncode else ""


@contextmanager
def unit_machine(kept: Path) -> Iterator[UnitMachine]:
    """Yield a machine; ``kept`` is an empty folder to mount on. The test is skipped where there can be none."""
    refusal = _refusal()
    if refusal:
        pytest.skip(refusal)
    script = _SET_UP.format(kept=kept, root=ROOT, venv=sys.prefix, python=sys.base_prefix, source=" ".join(_SOURCE))
    command = ["unshare", "--mount", "bash", "-c", script]
    with run_program(command, {}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        if running.stdout.readline() != "ready\n":
            pytest.fail(running.stderr.read())
        yield UnitMachine(running.pid)
