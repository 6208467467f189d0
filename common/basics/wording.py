"""Numbers as a reader wants them: percentages, times, p-values; and names of files."""

import re
import statistics

DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"


EXAMPLES = {"image": "images", "text": "texts", "audio": "clips"}
"""What examples are called, by the kind of data."""


def examples(kind):
    """Returns what examples of a kind of data are called, in the plural."""
    return EXAMPLES.get(kind, f"{kind}s")


def percent(value, digits=2):
    """Returns a fraction as text, e.g. "99.53 %"; a dash for None."""
    return DASH if value is None else f"{100 * value:.{digits}f} %"


def mean_and_deviation(values):
    """Returns `99.53 ± 0.04` in per cent; the sample deviation, absent for one value."""
    mean = f"{100 * statistics.fmean(values):.2f}"
    if len(values) < 2:
        return mean
    return f"{mean} ± {100 * statistics.stdev(values):.2f}"


def p_value(value):
    """Returns a p-value as text, e.g. "p = 0.03" or "p < 0.001"."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.{3 if value < 0.1 else 2}f}"


def duration(seconds):
    """Returns a time as text, e.g. "0.84 s", "3 min 20 s" or "2 h 05 min"."""
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


def number(value):
    """Groups the digits of whole numbers and keeps the rest as text; a dash for None."""
    if value is None:
        return DASH
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def plain(value):
    """Returns a sequence as its items and commas, and anything else as it is."""
    return ", ".join(str(item) for item in value) if isinstance(value, (list, tuple)) else value


def shorten(text, length):
    """Returns a text as one line of `length` characters at most, the last one an ellipsis if cut."""
    # Of a text of any length only the start is looked at.
    line = " ".join(str(text)[: 10 * length].split())
    whole = len(line) <= length and len(str(text)) <= 10 * length
    return line if whole else line[: length - 1] + "…"


# What no file of text may hold (halves of a pair, zeros), and what only a terminal understands.
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def readable(text):
    """Returns a text whose control characters and halves of a pair are the mark for such: a page's."""
    return _UNREADABLE.sub("\ufffd", text)


def printable(name):
    """Returns the name of a file or folder as text: bytes that are no UTF-8 stand as their codes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
