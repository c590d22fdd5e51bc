"""The policies of all web workers, which each of them reports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from broker.adapters.observability import loaded_policies

SCRIPT = """
import os, sys
from pathlib import Path
from broker.adapters.observability import loaded_policies, metrics
with metrics.share_counts(Path(sys.argv[1])):
    for digest in ("a" * 64, "b" * 64):
        pid = os.fork()
        if not pid:
            loaded_policies.record("0" * 64)
            loaded_policies.record(digest)
            loaded_policies.record(digest)
            os._exit(0)
        os.waitpid(pid, 0)
    print(sorted(loaded_policies.list_by_worker("c" * 64).values()))
    loaded_policies.drop_dead(pid)
    loaded_policies.drop_dead(pid)
    print(sorted(loaded_policies.list_by_worker("c" * 64).values()))
"""


@pytest.mark.server
def test_every_worker_reads_the_digests_of_the_others(tmp_path: Path) -> None:
    """Its own digest and the latest ones of other live workers."""
    run = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [f"['{'a' * 12}', '{'b' * 12}', '{'c' * 12}']", f"['{'a' * 12}', '{'c' * 12}']"]


def test_a_process_alone_reads_its_own_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A WSGI host shares no folder of counts."""
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    loaded_policies.record("a" * 64)
    assert loaded_policies.list_by_worker("a" * 64) == {str(os.getpid()): "a" * 12}
