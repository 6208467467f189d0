"""Numbers as people write them: marks for decimals and thousands, and units."""

import numpy as np
import pytest

from common.basics.errors import RecipeError
from common.data.columns import Column, describe, infer
from common.data.number_form import MANY, NumberForm, form_of, unclear
from common.data.table_rows import like
from common.data.types import DataInfo, Split, Splits
from tests.test_diabetes_mlp import read, write

# As many as tell groups of thousands from decimals: 1,100, 1,107 ...
GROUPED = [f"{1 + row // 9},{100 + 7 * row}" for row in range(MANY)]
DOTTED = [cell.replace(",", ".") for cell in GROUPED]


@pytest.mark.parametrize(
    ("cells", "form", "plain"),
    [
        (["1", "-2.5", "3e2"], NumberForm(), ["1", "-2.5", "3e2"]),
        (["1,5", "2"], NumberForm(","), ["1.5", "2"]),
        (["1,500", "0,250"], NumberForm(","), ["1.500", "0.250"]),
        (["1,500", "-2,000,000"], NumberForm(".", ","), ["1500", "-2000000"]),
        (["1,500", "2.5", "12"], NumberForm(".", ","), ["1500", "2.5", "12"]),
        (["1.500,5", "12"], NumberForm(",", "."), ["1500.5", "12"]),
        (["1 234,50", "12"], NumberForm(",", " "), ["1234.50", "12"]),
        (["1\u202f234", "1\u00a0234.5"], NumberForm(".", " "), ["1234", "1234.5"]),
        (["1'234.50", "1\u2019000"], NumberForm(".", "'"), ["1234.50", "1000"]),
        (["12%", "15.5 %", "\u22123%"], NumberForm(unit="%"), ["12", "15.5", "-3"]),
        (["-$5", "$7.5", "$-3"], NumberForm(unit="$"), ["-5", "7.5", "-3"]),
        (["590.875,89 €", "12,50 €"], NumberForm(",", ".", "€"), ["590875.89", "12.50"]),
        (["CHF 1'234.50", "CHF 12"], NumberForm(".", "'", "CHF"), ["1234.50", "12"]),
        (["5 km/h", "7,5 km/h"], NumberForm(",", unit="km/h"), ["5", "7.5"]),
        # Money: no cents have three digits, unless of a litre; behind a dollar the comma is no decimal.
        (["$1,500", "$9,999"], NumberForm(".", ",", "$"), ["1500", "9999"]),
        (["$10.125", "$12.500"], NumberForm(unit="$"), ["10.125", "12.500"]),
        (["315.500 €", "9.000 €"], NumberForm(",", ".", "€"), ["315500", "9000"]),
        (["1.679 €", "1.599 €"], NumberForm(unit="€"), ["1.679", "1.599"]),
        # Many groups of three digits, and beside them hundreds without decimals.
        ([*GROUPED, "950"], NumberForm(".", ","), None),
        ([*DOTTED, "950"], NumberForm(",", "."), None),
        ([*GROUPED, "950", "0,125"], NumberForm(","), None),
        ([*GROUPED, "95000"], NumberForm(","), None),
        (DOTTED, NumberForm(), None),
    ],
)
def test_how_numbers_are_written(cells, form, plain):
    assert form_of(cells) == form
    assert not unclear(cells)
    found = [form.plain(cell) for cell in cells]
    assert found == plain or (plain is None and None not in found)


@pytest.mark.parametrize(
    "cells",
    [["1,500", "2,000"], ["12,345", "1,500"], ["1,679 €", "1,599 €"], GROUPED],
)
def test_a_comma_may_be_either(cells):
    assert form_of(cells) is None
    assert unclear(cells)


@pytest.mark.parametrize(
    "cells",
    [
        ["A4", "A5"],
        ["SKU 12", "SKU 13"],
        ["10-20", "30-40"],
        ["12:30", "13:40"],
        ["5kg", "7 g"],
        ["5 kg", "7"],
        ["$5 per kg", "$7 per kg"],
        ["1.2.3", "4"],
        ["1,234.5", "1.234,5"],
        ["1,2,3", "4"],
        ["3", "x"],
        ["$", "€"],
        ["1e999", "2"],
        ["1,500", "2,00,000"],
    ],
)
def test_what_is_no_column_of_numbers(cells):
    assert form_of(cells) is None
    assert not unclear(cells)


def test_a_number_of_another_form_is_refused():
    """With dots between thousands 1234.5 would become 12345."""
    form = NumberForm(",", ".", "€")
    assert form.plain("1234,5") == form.plain("1.234,5") == form.plain("1.234,5 €") == "1234.5"
    assert form.plain("1234.5") is form.plain("1.23") is form.plain("1.234,5 $") is None
    assert NumberForm(".", ",", "$").plain("$.50") == ".50"


def test_the_first_number_above_a_thousand_may_come_after_the_training():
    form = NumberForm(",")
    assert form.plain("1.234,5") == "1234.5"
    assert form.plain("-1.234.567") == "-1234567"
    assert form.plain("95.5") == "95.5"
    assert form.plain("0.125") == "0.125"
    assert form.plain("1.234") is None  # It may be either.


def test_the_error_says_how_numbers_are_written():
    with pytest.raises(RecipeError, match=r"'size' holds numbers \(kg, decimal comma\), got '5 g'"):
        Column("size", "number", ",", unit="kg").read("5 g")


def test_columns_say_how_their_numbers_are_written():
    price = infer("price", ["$1,500", "$2,000,000", ""])
    assert price == Column("price", "number", thousands=",", unit="$")
    assert price.read(" $3,000.5 ") == "3000.5"
    assert describe([price], {"price": ["1500"]}) == [
        "numbers: price ($, commas between thousands)"
    ]


def test_what_keeps_a_column_from_being_numbers_is_said():
    cells = {"tax": [*["5%", "7.5%"] * 8, "none", ""], "size": ["1,500", "2,000"] * 9}
    columns = [infer(name, held) for name, held in cells.items()]
    assert [column.type for column in columns] == ["category", "category"]
    said = describe(columns, cells)
    assert "tax would hold numbers but for 'none'; leave cells without a number empty" in said
    assert any(line.startswith("a comma may mark decimals or thousands") for line in said)


@pytest.mark.parametrize(
    ("trained", "there", "expected"),
    [
        # In the second table nothing tells that the dots stand between thousands.
        ([*DOTTED, "950"], ["1.500", "2.250"], ["1500", "2250"]),
        # Each table is read by its own form where that is clear.
        (["1.234,5 €", "7 €"], ["1,234.5", "12"], ["1234.5", "12"]),
        (["1.5", "2"], ["2,5", "3"], ["2.5", "3"]),
        (["12 %", "7 %"], ["12", "13.5"], ["12", "13.5"]),
    ],
)
def test_another_table_of_numbers_is_read_as_the_one_trained_on(trained, there, expected):
    column, found = infer("size", trained), infer("size", there)
    rows = np.array([[found.read(cell)] for cell in there], object)
    split = Split(rows, np.zeros(len(there), int))
    info = DataInfo(
        "n", "", "own", "f", "table", ("a",), "N", "", {}, {"columns": [found.to_dict()]}
    )
    again = like(Splits(split, split, split, info), {"columns": [column.to_dict()]})
    assert again.test.x[:, 0].tolist() == expected


def test_numbers_to_predict_as_spreadsheets_write_them(tmp_path):
    rows = [[f"{row},5", "ab"[row % 2], f"{1000 + row}.000,50 €"] for row in range(40)]
    rows = [[*row[:2], f"{row[2][0]}.{row[2][1:]}"] for row in rows]
    path = write(tmp_path / "t.csv", ["area", "town", "Preis"], rows, ";")
    splits = read(path, label_column="Preis")
    every = np.concatenate([part.y for part in (splits.train, splits.val, splits.test)])
    np.testing.assert_array_equal(np.sort(every), 1e6 + 1000 * np.arange(40) + 0.5)
    assert "numbers to predict: €, dots between thousands, decimal comma" in splits.info.remarks


def test_the_cell_that_is_no_number_is_named(tmp_path):
    rows = [[str(row), "ab"[row % 2], f"{row + 1},25 €"] for row in range(40)]
    rows[6][2] = "on request"
    path = write(tmp_path / "t.csv", ["area", "town", "price"], rows, ";")
    with pytest.raises(RecipeError, match=r"line 8: expected a number .* got 'on request'"):
        read(path, label_column="price")


def test_doubtful_numbers_to_predict_are_refused(tmp_path):
    rows = [[str(row), "ab"[row % 2], f"{row + 1},125"] for row in range(40)]
    path = write(tmp_path / "t.csv", ["area", "town", "price"], rows, ";")
    with pytest.raises(RecipeError, match="such as '1,125', have a comma that may mark decimals"):
        read(path, label_column="price")
