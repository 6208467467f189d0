"""Errors of a database: which of them pass if one waits, and what they say."""

from __future__ import annotations

from collections.abc import Iterator

from common.basics.errors import storage_error
from common.basics.passwords import hide

# Errors that do not go away by waiting, in SQLite's words.
DAMAGE = (
    "is full",
    "disk I/O error",
    "readonly database",
    "malformed",
    "not a database",
    "no such",
)


def of_database(error: BaseException) -> bool:
    """Returns whether an error, or one that it came of, is of the database."""
    import sqlalchemy.exc

    return any(isinstance(each, sqlalchemy.exc.SQLAlchemyError) for each in _chain(error))


def passes(error: BaseException) -> bool:
    """Returns whether waiting may help: the database is away, busy or locked, but not damaged."""
    import sqlalchemy.exc

    lasting = (
        sqlalchemy.exc.ProgrammingError,
        sqlalchemy.exc.IntegrityError,
        sqlalchemy.exc.DataError,
        sqlalchemy.exc.NotSupportedError,
    )
    said = str(_origin(error))
    return not (
        any(isinstance(each, lasting) for each in _chain(error))
        or any(text in said for text in DAMAGE)
        or storage_error(error)
    )


def words(error: BaseException) -> str:
    """Returns the driver's error message, on one line and without a password."""
    return hide(" ".join(str(_origin(error)).split()))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _origin(error):
    """Returns the error of the database's driver, which is the first in a chain of errors."""
    last = list(_chain(error))[-1]
    return getattr(last, "orig", None) or last
