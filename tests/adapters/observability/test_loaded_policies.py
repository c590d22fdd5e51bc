"""Each web worker's policies are known to all: one that lags behind is seen by a scrape of any."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from broker.adapters.observability import loaded_policies

# The library decides at its import where counts are kept: each try is a process of its own.
SCRIPT = """
import os, sys
from pathlib import Path
from broker.adapters.observability import loaded_policies, metrics
with metrics.shared(Path(sys.argv[1])):
    for digest in ("a" * 64, "b" * 64):
        pid = os.fork()
        if not pid:
            loaded_policies.note("0" * 64)
            loaded_policies.note(digest)
            loaded_policies.note(digest)
            os._exit(0)
        os.waitpid(pid, 0)
    print(sorted(loaded_policies.by_worker("c" * 64).values()))
    loaded_policies.drop_dead(pid)
    loaded_policies.drop_dead(pid)
    print(sorted(loaded_policies.by_worker("c" * 64).values()))
"""


@pytest.mark.server
def test_every_worker_reads_what_the_others_have_loaded(tmp_path: Path) -> None:
    """Its own digest, those that others noted last, and none of a worker that has ended."""
    run = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [f"['{'a' * 12}', '{'b' * 12}', '{'c' * 12}']", f"['{'a' * 12}', '{'c' * 12}']"]


def test_a_process_that_serves_alone_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that mounts us shares no folder of counts."""
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    loaded_policies.note("a" * 64)
    assert loaded_policies.by_worker("a" * 64) == {str(os.getpid()): "a" * 12}
