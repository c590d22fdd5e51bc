"""Reads the CPU seconds, the proportional memory and the descriptors of a process tree from the kernel."""

import os
import resource
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
# Of /proc/PID/stat, counted after the name: user and system time, its own and of children that have ended.
_TIMES: Final = (11, 12, 13, 14)


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    processes, queue = [], [pid]
    while queue:
        process = queue.pop()
        processes.append(process)
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            queue += map(int, children.read_text().split())
    return processes


def cpu(pid: int) -> float:
    """Return the CPU seconds of a process tree so far, children that have ended included."""
    total = 0
    for process in tree(pid):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(fields[index]) for index in _TIMES)
    return total / _TICKS


def cpu_of_ended_children() -> float:
    """Return the CPU seconds of the processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def memory(pid: int) -> int:
    """Return the proportional memory of a process tree in bytes."""
    total = 0
    for process in tree(pid):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def descriptors(pid: int) -> int:
    """Return the number of open descriptors of a process tree."""
    return sum(len(list(Path(f"/proc/{process}/fd").iterdir())) for process in tree(pid))
