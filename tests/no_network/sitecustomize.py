"""Runs first in every Python process of the tests (it is on their PYTHONPATH): blocks the network."""

import contextlib
import os
import pathlib
import socket


def _blocked(*args, **kwargs):
    raise OSError("the network is blocked in tests")


class _Socket(socket.socket):
    def connect(self, address):
        if self.family != getattr(socket, "AF_UNIX", None):
            _blocked()
        return super().connect(address)

    connect_ex = connect


socket.socket = _Socket
socket.create_connection = _blocked
socket.getaddrinfo = _blocked

# Recipes of tasks that no recipe of the collection has; `registry.names()` does not list them.
with contextlib.suppress(ImportError):
    import recipes

    recipes.__path__.append(str(pathlib.Path(__file__).parents[1] / "recipes"))

if "FAULTS" in os.environ:
    # Of the tests that break what a process does to its files.
    from tests import faults

    faults.from_environment()
