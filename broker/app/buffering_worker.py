"""A gunicorn worker that hands a request to a thread only when it is whole."""

import errno
import math
import os
import queue
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from gunicorn.http.errors import ParseException
from gunicorn.workers.base import Worker

from broker.app.buffered_connection import BufferedConnection

_TURN: Final = 1.0  # seconds between two looks at what has run out
_ARRIVING: Final = 30.0  # seconds from the first octet of a request to its last
_TAKING: Final = 60.0  # seconds that a client may take to read an answer
_LINGERING: Final = 2.0  # seconds that a closed client may still send, unread: RFC 9112, 9.6
_ENDING: Final = 5.0  # seconds that a worker which ends waits for the rest of a request
_AT_HAND: Final = math.inf  # a request that waits for a thread, or has one, never runs out
_NO_DESCRIPTORS: Final = (errno.EMFILE, errno.ENFILE)
_ACCEPTED: Final = 64  # connections accepted in one turn: those at hand have theirs
_LARGE: Final = 64 * 1024
_HELD: Final = 64 * 1024 * 1024  # octets of requests that no thread has
# Python runs one thread at a time, and threads that wrestle for it cost a login a quarter more. A
# quick request is therefore waited for, and another begins beside it only when it takes longer,
# because it waits itself for a disk or for the library system.
_QUICK: Final = 0.010

Step = Callable[[BufferedConnection], None]


class BufferingWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """A loop that reads and sends for all connections, and threads that only answer.

    A stranger who sends slowly, or takes slowly, costs a connection and no thread. Where there are
    too many, those go that would have run out first, and never the one that comes.

    Source: docs/reference/design.md#4e.
    """

    def run(self) -> None:
        """Serve until told to end, or until the process is gone that watches; then end in order."""
        self._open: dict[int, BufferedConnection] = {}
        self._whole: deque[BufferedConnection] = deque()
        self._handed: queue.SimpleQueue[BufferedConnection] = queue.SimpleQueue()
        self._answered: queue.SimpleQueue[BufferedConnection] = queue.SimpleQueue()
        self._answering = 0
        self._listening = False
        self._looked = 0.0
        self._refused = 0  # since last told
        self._poller = selectors.DefaultSelector()
        # gunicorn writes to this pipe for each signal, and a thread for each answer.
        self._poller.register(self.PIPE[0], selectors.EVENT_READ, self._wake)
        for _ in range(self.cfg.threads):
            threading.Thread(target=self._answer, daemon=True).start()
        while self.alive and self.ppid == os.getppid():
            self._turn()
        self._end()

    def _turn(self) -> None:
        now = time.monotonic()
        if now - self._looked >= _TURN:
            self._looked = now
            self.notify()
            self._tell_refused()
            for connection in list(self._open.values()):
                if connection.until < now:
                    self._drop(connection)
        self._listen(wanted=self.alive and self._has_room())
        for key, _ in self._poller.select(_TURN):
            if isinstance(key.fileobj, BufferedConnection):
                self._step(key.fileobj, key.data)
            else:
                key.data(key.fileobj)
        self._hand_over()

    def _step(self, connection: BufferedConnection, step: Step) -> None:
        """Take a step of a connection, if it is still open; drop it where the client has gone."""
        if connection.fileno() not in self._open:
            return
        try:
            step(connection)
        except BlockingIOError:
            return
        except OSError:
            self._drop(connection)

    def _end(self) -> None:
        """Accept nothing more, and finish what has begun; a client that is idle gets a moment."""
        self.alive = False
        self._listen(wanted=False)
        for listener in self.sockets:
            listener.close()
        began = time.monotonic()
        for connection in self._open.values():
            wait = _ENDING
            if connection.idle:
                wait = _LINGERING
            if connection.until != _AT_HAND:
                connection.until = min(connection.until, began + wait)
        while self._open and time.monotonic() - began < self.cfg.graceful_timeout:
            self._turn()

    # From the first octet of a request to its last.

    def _has_room(self) -> bool:
        """Whether one that comes may come: of those kept, half may wait for a thread, or have it.

        Else the kernel keeps it waiting. The other half are those that can be given up, so that the
        descriptors last for what the threads open.
        """
        at_hand = len(self._whole) + self._answering
        most: int = self.cfg.worker_connections // 2
        return at_hand <= most

    def _listen(self, *, wanted: bool) -> None:
        if wanted == self._listening:
            return
        self._listening = wanted
        for listener in self.sockets:
            if wanted:
                self._poller.register(listener, selectors.EVENT_READ, self._accept)
            else:
                self._poller.unregister(listener)

    def _accept(self, listener: Any) -> None:
        for _ in range(_ACCEPTED):
            try:
                sock, peer = listener.accept()
            except OSError as error:
                if error.errno in _NO_DESCRIPTORS:
                    self._give_one_up()
                return
            if len(self._open) >= self.cfg.worker_connections:
                self._give_one_up()
            connection = BufferedConnection(sock, peer, listener.getsockname(), self.cfg)
            connection.until = time.monotonic() + _ARRIVING
            self._open[connection.fileno()] = connection
            self._poller.register(connection, selectors.EVENT_READ, self._receive)

    def _receive(self, connection: BufferedConnection) -> None:
        if connection.idle:
            connection.until = time.monotonic() + _ARRIVING
        if not connection.receive():
            self._drop(connection)
            return
        self._take_whole(connection)
        if connection.held > _LARGE:
            self._bound_what_is_held()

    def _take_whole(self, connection: BufferedConnection) -> None:
        """Queue a connection for a thread if its request is whole; refuse what can be none."""
        try:
            if not connection.is_whole():
                return
        except ParseException as error:
            self._refused += 1
            self._poller.unregister(connection)
            connection.refuse(error)
            self._send_answer(connection)
            return
        self._poller.unregister(connection)
        connection.until = _AT_HAND
        self._whole.append(connection)

    def _tell_refused(self) -> None:
        """Log how many were no requests, once a second: a stranger must not fill the log.

        Never the text of an error: it quotes the request.
        """
        if self._refused:
            self.log.warning("Invalid requests: %d", self._refused)
            self._refused = 0

    # A thread answers.

    def _hand_over(self) -> None:
        for _ in range(len(self._whole)):
            if self._answering >= self.cfg.threads:
                return
            self._answering += 1
            self._handed.put(self._whole.popleft())
            with suppress(queue.Empty):
                self._finish(self._answered.get(timeout=_QUICK))

    def _answer(self) -> None:
        while True:
            connection = self._handed.get()
            try:
                connection.answer(self.wsgi, last=not self.alive)
            except Exception as error:
                # What no endpoint has caught.
                self.log.exception("")
                connection.refuse(error)
            self._answered.put(connection)
            with suppress(BlockingIOError):
                os.write(self.PIPE[1], b".")

    def _wake(self, pipe: int) -> None:
        os.read(pipe, 4096)
        with suppress(queue.Empty):
            while True:
                self._finish(self._answered.get_nowait())

    def _finish(self, connection: BufferedConnection) -> None:
        self._answering -= 1
        self._step(connection, self._send_answer)

    # The client takes the answer.

    def _send_answer(self, connection: BufferedConnection) -> None:
        connection.until = time.monotonic() + _TAKING
        self._poller.register(connection, selectors.EVENT_WRITE, self._send)
        self._send(connection)

    def _send(self, connection: BufferedConnection) -> None:
        connection.send()
        if connection.sent:
            self._after_answer(connection)

    def _after_answer(self, connection: BufferedConnection) -> None:
        now = time.monotonic()
        if connection.closes:
            # Closed at once, what is still on its way would take the answer from the client.
            connection.end_answer()
            connection.until = now + _LINGERING
            self._poller.modify(connection, selectors.EVENT_READ, self._discard)
            return
        connection.until = now + _ARRIVING
        if connection.idle:
            connection.until = now + self.cfg.keepalive
        self._poller.modify(connection, selectors.EVENT_READ, self._receive)
        self._take_whole(connection)

    def _discard(self, connection: BufferedConnection) -> None:
        if not connection.receive():
            self._drop(connection)

    # What is too much.

    def _give_one_up(self) -> None:
        soonest = min(self._open.values(), key=lambda connection: connection.until, default=None)
        if soonest is not None and soonest.until != _AT_HAND:
            self._drop(soonest)

    def _bound_what_is_held(self) -> None:
        """Give up the largest request that no thread has, where all together are too large."""
        arriving = [each for each in self._open.values() if each.until != _AT_HAND]
        held = [*arriving, *self._whole]
        if sum(connection.held for connection in held) > _HELD:
            self._drop(max(held, key=lambda connection: connection.held))

    def _drop(self, connection: BufferedConnection) -> None:
        """Give up a connection that no thread has."""
        del self._open[connection.fileno()]
        if connection.until == _AT_HAND:
            self._whole.remove(connection)
        else:
            self._poller.unregister(connection)
        connection.close()
