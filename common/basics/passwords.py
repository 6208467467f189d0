"""Passwords in the addresses of databases: needed to connect, never to be stored or printed.

Whoever is given an address keeps `keep(url)` of it, which says `***` for the password, in files, messages
and objects alike; `reveal` gives the address itself to the one place that connects. The address lives in
this process only, and in the environment of the processes that it starts.
"""

import os
import re

from common.basics.errors import UsageError

VARIABLE = "KERAS_RECIPE_BOX_STORAGE"
MASK = "***"
# `scheme://user:PASSWORD@`, as SQLAlchemy reads it, and up to the last @: a password that should have
# been percent-encoded and was not is one all the same.
_USER = r"([A-Za-z][A-Za-z0-9+.-]*://[^\s:/@]*:){any}+@"
_QUERY = r"([?&][A-Za-z_]*(?:password|passwd|pwd)=)[^&\s'\"]+"
_known = {}


def hide(text, word=False):
    """Returns a text with `***` for every password in an address.

    Args:
        text: Any text, or anything that str() makes one of.
        word: It is one word of a command line: blanks in it do not end an address.
    """
    text = re.sub(_USER.format(any="." if word else r"\S"), rf"\g<1>{MASK}@", str(text))
    return re.sub(_QUERY, rf"\g<1>{MASK}", text, flags=re.IGNORECASE)


def keep(url):
    """Returns the address of a database without its password; `reveal` knows it. None stays None."""
    if url is None:
        return None
    shown = hide(url, word=True)
    if MASK not in url:
        _known[shown] = url
    return shown


def reveal(shown):
    """Returns the address that `keep` was given, here or in the process that started this one.

    Raises:
        UsageError: Neither knows it.
    """
    given = os.environ.get(VARIABLE)
    if given is not None and hide(given, word=True) == shown:
        keep(given)
    if MASK in shown and shown not in _known:
        raise UsageError(
            f"the password in {shown} is not stored anywhere; set {VARIABLE} to the whole address"
        )
    return _known.get(shown, shown)
