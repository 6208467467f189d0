"""The columns of a table: which hold numbers, which categories, and which say nothing."""

import collections
import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from common.basics.errors import RecipeError, UsageError, near_match
from common.basics.wording import DASH, percent
from common.basics.wording import number as counted
from common.data.dates import EXAMPLES, date_of, days, orders_of, parts_among
from common.data.number_form import NumberForm, form_of, unclear, with_digits

MISSING = frozenset(("", "?", "na", "n/a", "nan", "null"))
"""What stands for a missing value, in lower case."""
USED = ("number", "category")
"""The types that a model can use."""
OWN_VALUE = 0.9
"""A column of words in which more than this share of the values differ names its rows."""
MOSTLY = 0.8
"""A column with so many numbers among its cells was meant to hold numbers."""
LISTED = 20
# "0712" and "007" are codes: as numbers they would lose their zeros.
_CODE = re.compile(r"0\d+")
_IDENTIFIER = re.compile(r"(.*[ _-])?(id|index|key|number|nr|no|column 1)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    type: str
    """"number" or "category"; "time" (it decides the splits, and a model sees parts of its dates); or a
    reason not to use it: "identifier" (each row has a value of its own), "constant", "empty", "group" (it
    says which rows belong together)."""
    decimal: str = "."
    """Decimal mark of its numbers in the user's files, '.' or ','."""
    thousands: str = ""
    """What stands between their thousands, '' for nothing."""
    unit: str = ""
    """What stands before or behind each of them, such as '$'; '' for nothing."""
    date: str = ""
    """Of dates, which are read as days since 1970: how they are written in the user's files, one of
    ORDERS. "": the column holds no dates."""

    @property
    def used(self) -> bool:
        """Whether a model can learn from it."""
        return self.type in USED or (self.type == "time" and self.date != "")

    @property
    def form(self) -> NumberForm:
        """How its numbers are written in the user's files."""
        return NumberForm(self.decimal, self.thousands, self.unit)

    def read(self, cell: str) -> str:
        """Returns a cell as the models' data has it: without spaces around it, '' for a missing value.

        A date becomes its day, a number has a decimal point and no unit.

        Raises:
            RecipeError: The column holds numbers or dates, and the cell does not.
        """
        cell = cell.strip()
        if cell.lower() in MISSING:
            return ""
        if self.date:
            day = days(cell, self.date)
            if day is None:
                raise RecipeError(f"the column '{self.name}' holds dates, got '{cell}'")
            return f"{day:.12g}"
        if self.type == "number":
            plain = self.form.plain(cell)
            if plain is None:
                form = f" ({self.form})" if str(self.form) else ""
                raise RecipeError(f"the column '{self.name}' holds numbers{form}, got '{cell}'")
            return plain
        return cell

    def show(self, cell: str) -> str:
        """Returns a cell of the models' data for a person: a day as its date, a dash for no value."""
        if self.date and cell:
            return date_of(float(cell))
        return cell or DASH

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as values that JSON can hold."""
        return dataclasses.asdict(self)


def columns_of(reading: Mapping[str, Any]) -> list[Column]:
    """Returns the columns of a table by the description of the data, `DataInfo.reading`.

    Raises:
        RecipeError: It describes no table.
    """
    try:
        return [Column(**each) for each in reading["columns"]]
    except (KeyError, TypeError) as error:
        raise RecipeError(f"the data's description lists no columns: {error!r}") from error


def in_words(columns: Sequence[Column], row: Sequence[str]) -> str:
    """Returns a row for a person: the names of the columns and what they hold, "age 38, sex F"."""
    cells = zip(columns, row, strict=True)
    return ", ".join(f"{column.name} {column.show(cell)}" for column, cell in cells)


def infer(name: str, cells: Sequence[str]) -> Column:
    """Returns a column with its type by the cells of the training file.

    Args:
        name: Its name.
        cells: As they stand in the file.
    """
    held = [cell.strip() for cell in cells]
    held = [cell for cell in held if cell.lower() not in MISSING]
    values = set(held)
    if not values:
        return Column(name, "empty")
    if len(values) == 1 and len(held) == len(cells):
        return Column(name, "constant")
    form = form_of(values)
    if form and not any(_CODE.fullmatch(value) for value in values):
        if len(values) == len(cells) and _counts_rows(name, values):
            return Column(name, "identifier")
        return Column(name, "number", form.decimal, form.thousands, form.unit)
    orders = orders_of(values)
    # "11/12/2026" may be in November or in December: some date of the column must tell.
    if len(orders) == 1:
        return Column(name, "number", date=orders[0])
    few = len(values) <= OWN_VALUE * len(held) or len(held) < LISTED
    return Column(name, "category" if few else "identifier")


def _counts_rows(name, values):
    """Returns whether numbers that all differ are numbers of the rows."""
    if not all(value.isdecimal() for value in values):
        return False
    whole = [int(value) for value in values]
    in_turn = max(whole) - min(whole) + 1 == len(whole) and len(whole) >= LISTED
    return in_turn or _IDENTIFIER.fullmatch(name) is not None


def describe(columns: Sequence[Column], table: Mapping[str, Sequence[str]]) -> list[str]:
    """Returns lines for a person: the types, what is left out, what is missing.

    Args:
        columns: The columns.
        table: Cells of each column by its name, as `Column.read` returns them.
    """
    numbers = [each for each in columns if each.type == "number"]
    lines = (
        [f"numbers: {_listed(_number_words(each, table) for each in numbers)}"] if numbers else []
    )
    categories = [
        f"{each.name} ({counted(len(set(table[each.name]) - {''}))})"
        for each in columns
        if each.type == "category"
    ]
    if categories:
        lines.append(f"categories (values): {_listed(categories)}")
    lines += _nearly_numbers(columns, table)
    missing = {each.name: sum(not cell for cell in table[each.name]) for each in columns}
    shares = [
        f"{each.name} {percent(missing[each.name] / len(table[each.name]), 1)}"
        for each in sorted(columns, key=lambda each: -missing[each.name])
        if each.used and missing[each.name]
    ]
    if shares:
        lines.append(f"missing values: {_listed(shares)}")
    why = {
        "identifier": "each row has its own value",
        "constant": "the same value everywhere",
        "empty": "no values",
        "group": "says which rows belong together",
        "time": "decides the splits",
    }
    time = next((each for each in columns if each.type == "time"), None)
    dates = [each.name for each in columns if each.date]
    if time and time.used:
        parts = ", ".join(parts_among(table[time.name])) or "nothing"
        lines.append(f"{time.name}: decides the splits; given to the model as {parts}")
    elif dates and not time:
        lines.append(
            f"{_listed(dates)}: the splits are random in time; if later rows are to be predicted, "
            "--time-column COLUMN tests on the latest ones"
        )
    left = [f"{each.name} ({why[each.type]})" for each in columns if not each.used]
    if left:
        lines.append(f"not given to the model: {_listed(left)}")
    return lines


def _nearly_numbers(columns, table):
    """Returns lines on columns that a few cells or a doubtful comma keep from being numbers."""
    lines, either = [], []
    for column in columns:
        cells = [cell for cell in table[column.name] if cell]
        if column.type not in ("category", "identifier") or not cells:
            continue
        values = set(cells)
        numbers = with_digits(values)
        if unclear(values):
            either.append(column.name)
            continue
        mostly = sum(cell in numbers for cell in cells) >= MOSTLY * len(cells)
        if mostly and numbers != values and form_of(numbers):
            words = _listed(map(repr, sorted(values - numbers)))
            lines.append(
                f"{column.name} would hold numbers but for {words}; leave cells without a number empty"
            )
    if either:
        lines.append(
            f"a comma may mark decimals or thousands, so these are no numbers: {_listed(either)}; write "
            "them with a point or without it"
        )
    return lines


def _number_words(column, table):
    if column.date:
        given = ", ".join(["days", *parts_among(table[column.name])])
        return f"{column.name} (dates {EXAMPLES[column.date]}, as {given})"
    return f"{column.name} ({column.form})" if str(column.form) else column.name


def _listed(words):
    words = list(words)
    more = f" and {len(words) - LISTED} more" if len(words) > LISTED else ""
    return ", ".join(words[:LISTED]) + more


def split_names(text: str) -> tuple[str, ...]:
    """Returns the names in a text such as "sex, race"; no name of "" ."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def check_name(name: str, columns: Sequence[Column]) -> int:
    """Returns the place of a column.

    Raises:
        UsageError: There is none of that name.
    """
    names = [each.name for each in columns]
    if name not in names:
        raise UsageError(
            f"there is no column '{name}'{near_match(name, names)} (there are: {', '.join(names)})"
        )
    return names.index(name)


def common_values(cells: Sequence[str], least: int) -> list[str]:
    """Returns the values that occur at least so often, by falling frequency, then by alphabet."""
    counts = collections.Counter(cells)
    return sorted(
        (value for value, count in counts.items() if count >= least),
        key=lambda value: (-counts[value], value),
    )
