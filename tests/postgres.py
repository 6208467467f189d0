"""A PostgreSQL of one's own for tests and benchmarks, in a folder that is deleted afterwards."""

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

# What it takes; where it is missing, `missing` says so.
PASSWORD = "geheim7"


def control():
    """Returns the path of pg_ctl, or None."""
    tools = [*Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")]
    return shutil.which("pg_ctl") or (str(max(tools)) if tools else None)


def missing():
    """Returns why there can be no PostgreSQL here, or None."""
    if control() is None:
        return "PostgreSQL is not installed (no pg_ctl)"
    if importlib.util.find_spec("psycopg") is None:
        return "the driver of PostgreSQL is not installed (psycopg)"
    return None


@contextlib.contextmanager
def server(*settings):
    """Yields a URL, and functions that stop and start a PostgreSQL.

    Args:
        settings: Settings, e.g. `max_connections=300`.
    """
    # It refuses to run as root.
    user = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    (folder / "password").write_text(PASSWORD)
    if user:
        shutil.chown(folder, **user)
        shutil.chown(folder / "password", **user)

    def run(*words):
        with (folder / "output").open("a") as output:
            subprocess.run(
                [control(), "-D", folder / "data", *words],
                check=True, stdout=output, stderr=output, cwd=folder, timeout=60, **user,
            )  # fmt: skip

    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    options += "".join(f" -c {setting}" for setting in settings)

    def start():
        run("-w", "-l", folder / "log", "-o", options, "start")

    def stop():
        run("-m", "immediate", "stop")

    try:
        run("-o", f"-A scram-sha-256 -U me --pwfile={folder / 'password'} -E UTF8", "initdb")
        start()
        yield f"postgresql+psycopg://me:{PASSWORD}@127.0.0.1:{port}/postgres", stop, start
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            stop()
        shutil.rmtree(folder, ignore_errors=True)
