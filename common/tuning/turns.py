"""Turns: one process at a time chooses a trial, though many share the database."""

import contextlib
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine

# A process that is stopped while it has its turn keeps the others waiting no longer than this.
WAIT_SECONDS = 30


@contextlib.contextmanager
def turn(engine: "Engine", name: str) -> Iterator[bool]:
    """Waits for a turn in PostgreSQL. It ends with the block, or with the process.

    A turn only saves work: two processes that choose at the same time may choose the same trial, which
    only one of them gets. So where no turn can be had, the block runs without one.

    Args:
        engine: SQLAlchemy's engine of the database.
        name: Name of the study; each has turns of its own.

    Yields:
        Whether this process has its turn.
    """
    import sqlalchemy

    digest = hashlib.sha256(name.encode()).digest()
    key = int.from_bytes(digest[:8], "big", signed=True)
    with contextlib.ExitStack() as stack:
        try:
            connection = engine.connect()
            stack.callback(_close, connection)
            connection.execute(sqlalchemy.text(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'"))
            connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
            mine = True
        except sqlalchemy.exc.SQLAlchemyError:
            mine = False
        yield mine


def _close(connection):
    """Ends the transaction, and the turn with it. Where the connection broke, it has ended already."""
    import sqlalchemy.exc

    with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError):
        connection.close()
