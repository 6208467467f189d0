"""Passwords in the addresses of databases: needed to connect, never stored or printed.

Code that is given an address passes on only `keep(url)`, which has `***` in place of the password: in
files, messages and objects. The code that connects gets the whole address from `reveal`. The whole
address exists only in this process and in the environment of the processes that it starts.
"""

import os
import re
from typing import overload

from common.basics.errors import UsageError

VARIABLE = "KERAS_RECIPE_BOX_STORAGE"
MASK = "***"
# `scheme://user:PASSWORD@`, as SQLAlchemy reads it. It reaches to the last @, because a password may
# hold one that was not percent-encoded.
_USER = r"([A-Za-z][A-Za-z0-9+.-]*://[^\s:/@]*:){any}+@"
_QUERY = r"([?&][A-Za-z_]*(?:password|passwd|pwd)=)[^&\s'\"]+"
_known: dict[str, str] = {}


def hide(text: object, word: bool = False) -> str:
    """Returns a text with `***` for every password in an address.

    Args:
        text: A text, or what `str()` makes a text of.
        word: Whether it is one word of a command line. Then spaces in it do not end an address.
    """
    text = re.sub(_USER.format(any="." if word else r"\S"), rf"\g<1>{MASK}@", str(text))
    return re.sub(_QUERY, rf"\g<1>{MASK}", text, flags=re.IGNORECASE)


@overload
def keep(url: str) -> str: ...


@overload
def keep(url: None) -> None: ...


def keep(url: str | None) -> str | None:
    """Returns the address of a database with `***` for its password, and remembers the password."""
    if url is None:
        return None
    shown = hide(url, word=True)
    if MASK not in url:
        _known[shown] = url
    return shown


def reveal(shown: str) -> str:
    """Returns the whole address for what `keep` returned, here or in the process that started this one.

    Raises:
        UsageError: The password is not known here.
    """
    given = os.environ.get(VARIABLE)
    if given is not None and hide(given, word=True) == shown:
        keep(given)
    if MASK in shown and shown not in _known:
        raise UsageError(
            f"the password in {shown} is not stored anywhere; set {VARIABLE} to the whole address"
        )
    return _known.get(shown, shown)
