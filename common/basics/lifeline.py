"""A connection between the processes of one training: the end of one ends the others within a second.

A collective computation with a process that was killed may wait for ever, and JAX itself then aborts
with a trace of C++ after its heartbeat. The system closes the connections of a process however it ends,
so the others are told at once, and can say what happened. A process that ends in order says why with a
byte.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Callable

from common.basics.errors import RecipeError
from common.basics.places import Place

DONE, INTERRUPTED, FAILED = b"d", b"i", b"f"
"""Last words: the training is over; Ctrl-C; an error, which the process itself has told."""

GRACE_SECONDS = 10.0
"""An error may arise in all processes at once: each has so long to tell of it and to end by itself."""

NOTICE_SECONDS = 2.0
"""The system tells of a process that was killed long before."""

MEETING_SECONDS = 20.0


class Line:
    """The connections of a process: of the leader to all others, of another one to the leader.

    Args:
        ends: Sockets by the number of the process at the other end.
        lost: Called with its name and its last word when one ends without DONE.
    """

    def __init__(self, ends: dict[int, socket.socket], lost: Callable[[str, bytes], None]) -> None:
        self._ends, self._lost = ends, lost
        self._telling, self._done = threading.Lock(), threading.Event()
        for number, end in ends.items():
            threading.Thread(target=self._watch, args=(number, end), daemon=True).start()

    def _watch(self, number, end):
        word = b""
        with contextlib.suppress(OSError):
            word = end.recv(1)
        if word == DONE:
            self._done.set()
            return
        if word == FAILED:
            time.sleep(GRACE_SECONDS)
        with self._telling:
            self._lost("process 0, the leader," if number == 0 else f"process {number}", word)

    def hush(self) -> None:
        """Lets this thread tell of the end of another process, unless the line can: it knows which."""
        time.sleep(NOTICE_SECONDS)
        self._telling.acquire()

    def wait(self) -> None:
        """Waits until the leader says DONE; if it ends otherwise, this process ends by `lost`."""
        self._done.wait()

    def say(self, word: bytes) -> None:
        """Says a last word to all others."""
        for end in self._ends.values():
            with contextlib.suppress(OSError):
                end.sendall(word)


def meet(place: Place, send: Callable[[bytes], bytes], lost: Callable[[str, bytes], None]) -> Line:
    """Connects a process with the leader, or the leader with all others.

    Args:
        place: That of this process.
        send: Returns the leader's bytes in every process.
        lost: As of Line.

    Raises:
        RecipeError: They cannot be connected.
    """
    try:
        return _met(place, send, lost)
    except OSError as error:
        raise RecipeError(
            f"process {place.index} cannot be reached by, or cannot reach, the others at "
            f"{place.address.rpartition(':')[0]} ({error}): all ports must be open between the hosts"
        ) from error


def _met(place, send, lost):
    # Whoever does not know the word cannot end a training by connecting and going away.
    if place.index == 0:
        with _listening() as server:
            server.settimeout(MEETING_SECONDS)
            word = secrets.token_bytes(16)
            send(word + server.getsockname()[1].to_bytes(2, "big"))
            return Line(_accepted(server, word, place.count - 1), lost)
    told = send(b"")
    word, port = told[:16], int.from_bytes(told[16:], "big")
    host = place.address.rpartition(":")[0].strip("[]")
    end = socket.create_connection((host, port), timeout=MEETING_SECONDS)
    end.sendall(word + place.index.to_bytes(4, "big"))
    return Line({0: _kept(end)}, lost)


def _listening():
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # The kernel knows IPv6, and the machine has none.
            return socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", 0))


def _accepted(server, word, count):
    ends: dict[int, socket.socket] = {}
    while len(ends) < count:
        end, _ = server.accept()
        end.settimeout(5.0)
        told = b""
        with contextlib.suppress(OSError):
            while len(told) < 20 and (part := end.recv(20 - len(told))):
                told += part
        if secrets.compare_digest(told[:16], word):
            ends[int.from_bytes(told[16:], "big")] = _kept(end)
        else:
            end.close()
    return ends


def _kept(end):
    """Sets a socket up to wait for ever, and to notice a machine that is gone after 25 seconds."""
    end.settimeout(None)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            end.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return end
