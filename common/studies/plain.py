"""Tables as plain text, for a terminal."""

ABSENT = "-"


def table(rows, left=1):
    """Returns a table as aligned plain text.

    Args:
        rows: Tuples of strings, the heads first.
        left: So many columns stand to the left, the others to the right.
    """
    from tabulate import tabulate

    sides = ["left"] * left + ["right"] * (len(rows[0]) - left)
    text = tabulate(
        rows[1:], headers=rows[0], tablefmt="simple", disable_numparse=True, colalign=sides
    )
    return "\n".join(line.rstrip() for line in text.splitlines())


def grouped(value):
    """Returns a number without decimals, its digits grouped; ABSENT for None."""
    return ABSENT if value is None else f"{value:,.0f}"
