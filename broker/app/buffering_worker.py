"""A gunicorn worker that answers a request only when it is whole."""

import errno
import math
import os
import queue
import select
import selectors
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any, Final

from gunicorn.http.errors import ParseException
from gunicorn.workers.base import Worker

from broker.app.buffered_connection import BufferedConnection
from broker.app.leading_thread import LeadingThread

_TURN: Final = 1.0  # seconds between two looks at what has run out
_ARRIVING: Final = 30.0  # seconds from the first octet of a request to its last
_TAKING: Final = 60.0  # seconds that a client may take to read an answer
_LINGERING: Final = 2.0  # seconds that a closed client may still send, unread: RFC 9112, 9.6
_ENDING: Final = 5.0  # seconds that a worker which ends waits for the rest of a request
_AT_HAND: Final = math.inf  # a request that waits for a thread, or has one, never runs out
_NO_DESCRIPTORS: Final = (errno.EMFILE, errno.ENFILE)
_LARGE: Final = 64 * 1024
_HELD: Final = 64 * 1024 * 1024  # octets of requests that no thread has
_NOTHING: Final = 0  # to be told of a connection by the kernel
# Python runs one thread at a time, and threads that wrestle for it cost a login a quarter more. A
# quick request is therefore waited for, and another begins beside it only when it takes longer,
# because it waits itself for a disk or for the library system.
_QUICK: Final = 0.010


class BufferingWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """A loop that reads and sends for all connections, and answers what is whole.

    The thread at the loop answers itself; where that takes long, another goes on with the loop.

    All workers share one queue, the kernel's: none accepts while it has a request to answer, or no
    thread for one; and where others wait, an answer closes its connection, so that the next request
    of its client stands in that queue too. A connection that is kept binds its client to a worker:
    where one had ten of sixteen clients and another six, the ten waited half as long again.

    A stranger who sends slowly, or takes slowly, costs a connection and no thread. Where there are
    too many, those go that would have run out first, and never the one that comes.

    Source: docs/reference/design.md#4e.
    """

    def run(self) -> None:
        """Serve until told to end, or until the process is gone that watches; then end in order."""
        self._open: dict[int, BufferedConnection] = {}
        self._whole: deque[BufferedConnection] = deque()
        self._answered: queue.SimpleQueue[BufferedConnection] = queue.SimpleQueue()
        self._at_hand: BufferedConnection | None = None  # of the thread that leads, or led last
        self._answering = 0
        self._listening = False
        self._coming: list[Any] = []  # where somebody waits in the kernel's queue
        self._looked = 0.0
        self._refused = 0  # since last told
        self._ends: float | None = None  # when it ends at the latest, once it has been told to
        self._over = False
        self._lead = LeadingThread(_QUICK)
        self._poller = selectors.DefaultSelector()
        self._queues = [listener.fileno() for listener in self.sockets]
        self._wakes = os.pipe()
        for end in self._wakes:
            os.set_blocking(end, False)
        self._poller.register(self._wakes[0], selectors.EVENT_READ, self._finish_answered)
        # One more than may answer at once: one is left for the loop.
        for _ in range(self.cfg.threads + 1):
            threading.Thread(target=self._serve, daemon=True).start()
        self._pass_signals_on()

    def _pass_signals_on(self) -> None:
        """Let gunicorn handle signals here, and wake the loop for each; return when all is over.

        Nothing is answered in this thread: some of the handlers leave it by an error.
        """
        signals = select.poll()
        signals.register(self.PIPE[0], select.POLLIN)
        while not self._over:
            signals.poll()
            os.read(self.PIPE[0], 4096)
            _wake(self._wakes)

    def _serve(self) -> None:
        """Follow and lead by turns until all is over; an error ends the worker."""
        try:
            while not self._over:
                self._lead.follow()
                if self._at_hand is not None:
                    self._await(self._at_hand, _NOTHING)
                while not self._over and self._turn():
                    pass
        except Exception:
            self.log.exception("")
        finally:
            self._over = True
            _wake(self.PIPE)

    def _turn(self) -> bool:
        """Take what comes, and answer what is whole; False where another thread leads now."""
        now = time.monotonic()
        if now - self._looked >= _TURN:
            self._look(now)
        if not self.alive:
            self._end(now)
        self._listen(wanted=self.alive and self._has_thread())
        for connection in self._whole:
            self._await(connection, _NOTHING)
        wait = _TURN
        if self._whole and self._has_thread():
            wait = 0.0
        for key, _ in self._poller.select(wait):
            key.data(key.fileobj)
        self._accept_who_comes()
        return self._answer_next()

    def _look(self, now: float) -> None:
        """Say that this worker lives, and give up what has run out."""
        self._looked = now
        self.notify()
        self._tell_refused()
        if self.ppid != os.getppid():
            self.alive = False
        for connection in list(self._open.values()):
            if connection.until < now:
                self._drop(connection)

    def _step(self, connection: BufferedConnection) -> None:
        """Take the next step of a connection, if it is open; drop it where the client has gone."""
        if connection.fileno() not in self._open:
            return
        try:
            connection.step(connection)
        except BlockingIOError:
            return
        except OSError:
            self._drop(connection)

    def _await(self, connection: BufferedConnection, events: int) -> None:
        """Let the kernel tell of a connection what is asked, and nothing else."""
        if connection.awaited == events:
            return
        if not events:
            self._poller.unregister(connection)
        elif connection.awaited:
            self._poller.modify(connection, events, self._step)
        else:
            self._poller.register(connection, events, self._step)
        connection.awaited = events

    def _end(self, now: float) -> None:
        """Accept nothing more, and finish what has begun; a client that is idle gets a moment."""
        if self._ends is None:
            self._ends = now + self.cfg.graceful_timeout
            self._listen(wanted=False)
            for listener in self.sockets:
                self._accept_all(listener)
                listener.close()
            for connection in self._open.values():
                wait = _ENDING
                if connection.idle:
                    wait = _LINGERING
                if connection.until != _AT_HAND:
                    connection.until = min(connection.until, now + wait)
        self._over = not self._open or now >= self._ends

    # From the first octet of a request to its last.

    def _listen(self, *, wanted: bool) -> None:
        if wanted == self._listening:
            return
        self._listening = wanted
        for listener in self.sockets:
            if wanted:
                self._poller.register(listener, selectors.EVENT_READ, self._coming.append)
            else:
                self._poller.unregister(listener)

    def _accept_who_comes(self) -> None:
        """Accept who waits, unless a request became whole in this turn: it is answered first."""
        while self._coming:
            listener = self._coming.pop()
            if not self._whole:
                self._accept(listener)

    def _accept_all(self, listener: Any) -> None:
        """Accept whoever waits in the kernel's queue: it goes with the last worker that listens."""
        while len(self._open) < self.cfg.worker_connections and self._accept(listener):
            pass

    def _accept(self, listener: Any) -> bool:
        """Accept one that waits; False where nobody does, or nobody can be."""
        try:
            sock, peer = listener.accept()
        except OSError as error:
            if error.errno in _NO_DESCRIPTORS:
                self._give_one_up()
            return False
        if len(self._open) >= self.cfg.worker_connections:
            self._give_one_up()
        connection = BufferedConnection(sock, peer, listener.getsockname(), self.cfg)
        connection.until = time.monotonic() + _ARRIVING
        connection.step = self._receive
        self._open[connection.fileno()] = connection
        self._await(connection, selectors.EVENT_READ)
        self._step(connection)
        return True

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
            connection.refuse(error)
            connection.until = time.monotonic() + _TAKING
            connection.step = self._send
            self._send(connection)
            return
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

    def _has_thread(self) -> bool:
        """Whether a request that is whole can be answered now."""
        return bool(self._answering < self.cfg.threads)

    def _answer_next(self) -> bool:
        """Answer what is whole first; False where that took long, and another thread leads now."""
        if not self._whole or not self._has_thread():
            return True
        self._at_hand = connection = self._whole.popleft()
        self._answering += 1
        number = self._lead.begin()
        self._answer(connection)
        if self._lead.keeps(number):
            self._finish(connection)
            return True
        # The one at the loop may be at work itself: the client need not wait for that.
        with suppress(OSError):  # which shows again when the loop sends
            connection.send()
        self._answered.put(connection)
        _wake(self._wakes)
        return False

    def _answer(self, connection: BufferedConnection) -> None:
        try:
            connection.answer(self.wsgi, last=not self.alive or self._others_wait())
        except Exception as error:
            # What no endpoint has caught.
            self.log.exception("")
            connection.refuse(error)

    def _others_wait(self) -> bool:
        """Whether a request is at hand, or somebody waits in the kernel's queue."""
        if self._whole:
            return True
        # One for each look: two threads that look at one moment may not share it, and a request
        # was answered by the error of that (RuntimeError: concurrent poll() invocation).
        kernel = select.poll()
        for descriptor in self._queues:
            kernel.register(descriptor, select.POLLIN)
        return bool(kernel.poll(0))

    def _finish_answered(self, pipe: int) -> None:
        os.read(pipe, 4096)
        with suppress(queue.Empty):
            while True:
                self._finish(self._answered.get_nowait())

    def _finish(self, connection: BufferedConnection) -> None:
        self._answering -= 1
        connection.step = self._send
        connection.until = time.monotonic() + _TAKING
        self._step(connection)

    # The client takes the answer.

    def _send(self, connection: BufferedConnection) -> None:
        connection.send()
        if connection.sent:
            self._after_answer(connection)
        else:
            self._await(connection, selectors.EVENT_WRITE)

    def _after_answer(self, connection: BufferedConnection) -> None:
        now = time.monotonic()
        self._await(connection, selectors.EVENT_READ)
        if connection.closes:
            # Closed at once, what is still on its way would take the answer from the client.
            connection.end_answer()
            connection.until = now + _LINGERING
            connection.step = self._discard
            return
        connection.until = now + _ARRIVING
        if connection.idle:
            connection.until = now + self.cfg.keepalive
        connection.step = self._receive
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
        self._await(connection, _NOTHING)
        connection.close()


def _wake(pipe: tuple[int, int]) -> None:
    """Wake whoever listens at a pipe; where it is full, that has been done."""
    with suppress(BlockingIOError):
        os.write(pipe[1], b".")
