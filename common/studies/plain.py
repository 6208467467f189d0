"""Tables as plain text, for a terminal."""

from collections.abc import Sequence

ABSENT = "-"


def table(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Returns a table as aligned plain text.

    Args:
        rows: The cells of each row, all of equal number; the heads first.
        left: Number of columns, from the first on, that are aligned left. The others are aligned right.
    """
    from tabulate import tabulate

    sides = ["left"] * left + ["right"] * (len(rows[0]) - left)
    text = tabulate(
        rows[1:], headers=rows[0], tablefmt="simple", disable_numparse=True, colalign=sides
    )
    return "\n".join(line.rstrip() for line in text.splitlines())


def grouped(value: float | None) -> str:
    """Returns a number as text without decimals, e.g. `1,234`; ABSENT for None."""
    return ABSENT if value is None else f"{value:,.0f}"
