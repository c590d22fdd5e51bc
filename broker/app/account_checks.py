"""The thread of a web worker that checks library accounts after the page was answered."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from broker.adapters.observability import application_log

MOST_WAITING: Final = 20
_EVERY: Final = 1.0  # seconds: the time at which a check is made tells nothing
Check = Callable[[], None]


@dataclass(slots=True)
class AccountChecks:
    """Checks in order, one a second, in one thread that starts with the first of them."""

    every: float = field(default_factory=lambda: _EVERY)
    _waiting: "queue.Queue[Check]" = field(default_factory=lambda: queue.Queue(MOST_WAITING))
    _thread: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def submit(self, check: Check) -> bool:
        """Queue a check; False if twenty wait."""
        try:
            self._waiting.put_nowait(check)
        except queue.Full:
            return False
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="account checks", daemon=True
                )
                self._thread.start()
        return True

    def _run(self) -> None:
        while True:
            check = self._waiting.get()
            began = time.monotonic()
            try:
                check()
            except Exception as error:  # noqa: BLE001 - one check must not end the others
                application_log.log_unexpected(error, "account check")
            time.sleep(max(0.0, began + self.every - time.monotonic()))
