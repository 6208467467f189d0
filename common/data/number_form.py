"""Numbers as people write them: decimal commas, marks between thousands, units ("$1,234.50", "12 %")."""

import dataclasses
import math
import re
import unicodedata
from collections.abc import Collection

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_GROUPED = {mark: re.compile(rf"[1-9]\d{{0,2}}(\{mark}\d{{3}})+") for mark in ",. '"}
_DECIMALS = {"": ".,", ",": ".", ".": ",", " ": ".,", "'": ".,"}
"""Decimal marks that may go with what stands between thousands."""
_NAMES = {",": "commas", ".": "dots", " ": "spaces", "'": "apostrophes"}
# What typesetters put between thousands and before negative numbers, as what is on a keyboard.
_ON_KEYBOARD = str.maketrans("\u00a0\u202f\u2009\u2019\u2212", "   '-")
# Digits in a unit would make the cell a code or a range: "A4", "10-20".
_WITH_UNIT = re.compile(
    r"(?P<before>[^\d\s.,'+-]*)\s*[+-]?[.,]?\d(?:[\d.,' ]*\d)?\s*(?P<after>(?:[^\d\s.,'+-]\D{0,11})?)"
)
_CURRENCY = re.compile(
    "AUD|BRL|CAD|CHF|CNY|CZK|DKK|EUR|GBP|HUF|INR|JPY|KRW|MXN|NOK|NZD|PLN|SEK|SGD|TRY|USD|ZAR"
)
MANY = 20
"""So many different numbers of groups of three digits, and none with another number of digits behind its
mark, are no decimals by chance."""


@dataclasses.dataclass(frozen=True)
class NumberForm:
    """How the numbers of a column are written."""

    decimal: str = "."
    """Decimal mark, '.' or ','."""
    thousands: str = ""
    """What stands between thousands: ',', '.', ' ' or "'"; '' for nothing."""
    unit: str = ""
    """What stands before or behind every number, such as '$' or 'kg'; '' for nothing."""

    def plain(self, cell: str) -> str | None:
        """Returns a number with a decimal point and nothing else, "1234.50"; None for what is none.

        The cell may lack the unit and the marks between thousands.
        """
        cell = _without(cell.translate(_ON_KEYBOARD), self.unit)
        whole, mark, fraction = cell.partition(self.decimal)
        digits = whole.lstrip("+-")
        # A column of decimal commas may get its first number above a thousand after the training.
        thousands = self.thousands or ("." if self.decimal == "," else "")
        if thousands and _GROUPED[thousands].fullmatch(digits):
            if not self.thousands and not mark and digits.count(thousands) == 1:
                return None  # 1.234 may be either.
            cell = whole.replace(thousands, "") + mark + fraction
        elif self.thousands and not re.fullmatch(r"\d*", digits):
            return None
        if self.decimal == ",":
            cell = cell.replace(",", ".")
        return cell if is_number(cell) else None

    def __str__(self) -> str:
        """For a person: "$, commas between thousands"; '' for plain numbers."""
        words = [self.unit] if self.unit else []
        words += [f"{_NAMES[self.thousands]} between thousands"] if self.thousands else []
        return ", ".join(words + ["decimal comma"] * (self.decimal == ","))


def is_number(cell: str) -> bool:
    """Returns whether a cell is a finite number with a decimal point."""
    return _NUMBER.fullmatch(cell) is not None and math.isfinite(float(cell))


def form_of(values: Collection[str]) -> NumberForm | None:
    """Returns how the numbers of a column are written; None if not all are numbers, or if it is unclear.

    Args:
        values: The different cells of the column, without spaces around them and without missing ones.
    """
    found = _forms(values)
    return found[0] if len(found) == 1 else None


def unclear(values: Collection[str]) -> bool:
    """Returns whether all are numbers, but "1,234" may be 1.234 or 1234 and no value tells."""
    return len(_forms(values)) > 1


def with_digits(values: Collection[str]) -> set[str]:
    """Returns the values that hold a digit: those of a column of numbers with some words in it."""
    return {value for value in values if re.search(r"\d", value)}


def _forms(values):
    """Returns the forms that all values may have."""
    values = [value.translate(_ON_KEYBOARD) for value in values]
    unit = _common_unit(values)
    if unit is None:
        return []
    bare = [_without(value, unit) for value in values]
    forms = {}
    for thousands, decimals in _DECIMALS.items():
        if thousands and not _in_groups(bare, thousands):
            continue
        for decimal in decimals:
            form = NumberForm(decimal, thousands, unit)
            if all(form.plain(cell) is not None for cell in bare):
                forms[thousands] = form
                break  # Where no number has decimals, either mark will do.
    for mark in ",.":
        if "" in forms and mark in forms:
            if _no_decimals(bare, mark) or (_is_money(unit) and _no_cents(bare, values, mark)):
                return [forms[mark]]
            if mark == ".":
                return [forms[""]]
    return list(forms.values())


def _common_unit(values):
    """Returns what stands before or behind all numbers, '' for nothing; None: no common one."""
    if all(is_number(value) for value in values):
        return ""
    units = set()
    for value in values:
        found = _WITH_UNIT.fullmatch(value.lstrip("+-"))
        before, after = found.groups() if found else ("", "")
        if not found or (before and (after or not _is_money(before))):
            return None
        units.add(before or after.strip())
        if len(units) > 1:
            return None
    return units.pop()


def _without(cell, unit):
    """Returns a cell without its unit, which may stand between the sign and the number."""
    if not unit:
        return cell
    sign, rest = (cell[0], cell[1:]) if cell[:1] in ("+", "-") else ("", cell)
    return sign + rest.strip().removeprefix(unit).removesuffix(unit).strip()


def _in_groups(cells, mark):
    """Returns whether the mark stands between thousands, wherever a number has as many."""
    found = False
    for cell in cells:
        whole = re.split(f"[{_DECIMALS[mark]}]", cell)[0].lstrip("+-")
        if _GROUPED[mark].fullmatch(whole):
            found = True
        elif not re.fullmatch(r"\d{0,3}", whole):
            return False
    return found


def _no_decimals(cells, mark):
    """Returns whether numbers that all might have three decimals are whole numbers of thousands.

    A number with the other mark says so. Beside many of them 950, without decimals, says so, too: as one
    of them it would be written 950,000.
    """
    if any(_DECIMALS[mark] in cell for cell in cells):
        return True
    hundreds = re.compile(r"[+-]?[1-9]\d\d")
    return sum(mark in cell for cell in cells) >= MANY and any(map(hundreds.fullmatch, cells))


def _no_cents(cells, values, mark):
    """Returns the same for amounts of money.

    Behind a dollar or pound sign the comma is no decimal mark, and the point is one. Elsewhere only small
    amounts have three decimals, as the price of a litre.
    """
    if all(value.lstrip("+-")[0] in "$£" for value in values):
        return mark == ","
    return any(len(cell.lstrip("+-").partition(mark)[0]) > 1 for cell in cells if mark in cell)


def _is_money(unit):
    symbols = unit != "" and all(unicodedata.category(each) == "Sc" for each in unit)
    return symbols or _CURRENCY.fullmatch(unit) is not None
