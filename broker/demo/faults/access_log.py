"""The access log of the web server in front of a simulated system."""

from collections import deque


class AccessLog:
    """The request lines of a web server in front of a system, decoded."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=10_000)

    def add(self, line: str) -> None:
        """Add one line."""
        self._lines.append(line)

    def lines(self) -> list[str]:
        """Return the lines, oldest first."""
        return list(self._lines)
