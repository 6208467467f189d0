"""Blocks the network in tests and in every Python process they start (it is on their PYTHONPATH)."""

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
