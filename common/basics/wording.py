"""Numbers as a reader wants them: percentages, times, p-values; and names of files."""

import re
import statistics
from collections.abc import Sequence
from typing import Any

DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"


EXAMPLES = {"image": "images", "text": "texts", "audio": "clips", "table": "rows"}
"""The plural noun for the examples of each kind of data."""


def examples(kind: str) -> str:
    """Returns the plural noun for the examples of a kind of data, e.g. "clips" of "audio"."""
    return EXAMPLES.get(kind, f"{kind}s")


def percent(value: float | None, digits: int = 2) -> str:
    """Returns a fraction as text, e.g. "99.53 %"; a dash for None."""
    return DASH if value is None else f"{100 * value:.{digits}f} %"


def mean_and_deviation(values: Sequence[float]) -> str:
    """Returns mean and sample deviation in per cent, e.g. "99.53 ± 0.04"; of one value only the mean."""
    mean = f"{100 * statistics.fmean(values):.2f}"
    if len(values) < 2:
        return mean
    return f"{mean} ± {100 * statistics.stdev(values):.2f}"


def p_value(value: float) -> str:
    """Returns a p-value as text, e.g. "p = 0.03" or "p < 0.001"."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.{3 if value < 0.1 else 2}f}"


def duration(seconds: float | None) -> str:
    """Returns a time as text, e.g. "0.84 s", "3 min 20 s" or "2 h 05 min"; a dash for None."""
    if seconds is None:
        return DASH
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def number(value: float | None) -> str:
    """Returns a number as text: an int with grouped digits, a float with four; a dash for None."""
    if value is None:
        return DASH
    return f"{value:,}" if isinstance(value, int) else significant(value)


def significant(value: float, digits: int = 4, *, sign: bool = False) -> str:
    """Returns a number as text with so many significant digits, e.g. "0.01234" or "23,220".

    Unlike Python's "2.322e+04", large numbers are written out. `sign` puts a plus before positive ones.
    """
    plus = "+" if sign else ""
    short = f"{value:{plus}.{digits}g}"
    rounded = float(short)
    # A float has 15 digits that mean something.
    return f"{rounded:{plus},.15g}" if 1000 <= abs(rounded) < 1e15 else short


def plain(value: Any) -> Any:
    """Returns a list or tuple as its items with commas between, and anything else unchanged."""
    return ", ".join(str(item) for item in value) if isinstance(value, (list, tuple)) else value


def shorten(text: object, length: int) -> str:
    """Returns a text as one line of at most `length` characters, with an ellipsis where it was cut."""
    # However long the text is, only its start is read.
    line = " ".join(str(text)[: 10 * length].split())
    whole = len(line) <= length and len(str(text)) <= 10 * length
    return line if whole else line[: length - 1] + "…"


# Characters that a text file may not hold (lone surrogates, zeros), and those that control a terminal.
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def readable(text: str) -> str:
    """Returns a text with U+FFFD for each control character and lone surrogate, as a page may show it."""
    return _UNREADABLE.sub("\ufffd", text)


def printable(name: str) -> str:
    """Returns the name of a file or folder as text; bytes that are no UTF-8 are shown by their codes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
