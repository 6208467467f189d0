"""Tables: types of columns, missing values, the encoder, a known set from its files, rows to predict."""

import json

import numpy as np
import pytest

from common.basics.errors import RecipeError, UsageError
from common.data import DataInfo, Reading, Source, Split, Splits, TableSet, load_table
from common.data.columns import Column, columns_of, describe, in_words, infer, split_names
from common.data.dates import days
from common.data.inputs import Given
from common.data.sample_table import generate
from common.data.table_encoder import Layout, TableEncoder
from common.data.table_rows import like, read_cells
from common.data.table_rows import read as read_rows
from common.tasks import slices

HOMES = TableSet(
    "homes",
    "Homes",
    sample="customers",
    files={"train": ("homes.csv", "homes.data"), "test": ("homes_test.csv", "homes.test")},
    columns=("size", "sort", "sold"),
    label_column="sold",
    counts=(8, 4),
    variable="HOMES_DIR",
    where="they are at example.org",
)
ROWS = [
    f"{40 + 7 * (i % 5)},{'flat' if i % 3 else 'house'},{'yes' if i % 2 else 'no'}"
    for i in range(40)
]


def load(path, **reading):
    return load_table(HOMES, Source(str(path), reading=Reading(**reading)), 0.2)


def rows_of(*rows):
    x = np.empty((len(rows), len(rows[0])), object)
    x[:] = rows
    return x


@pytest.mark.parametrize(
    ("cells", "kind", "decimal"),
    [
        (["1", "2.5", "-3e2", ""], "number", "."),
        (["1,5", "2", "0,25"], "number", ","),
        (["1,500", "2,000", "3,250"], "category", "."),  # thousands or decimals: who knows
        (["007", "012", "7"], "category", "."),
        (["1", "2", "x"], "category", "."),
        (["inf", "1", "2"], "category", "."),
        (["red", "red", "blue", "?"], "category", "."),
        (["a"] * 5, "constant", "."),
        (["a", "a", ""], "category", "."),  # that it is missing may tell something
        (["", "?", "NA", "NaN"], "empty", "."),
        ([f"u{i}" for i in range(30)], "identifier", "."),
        ([str(i) for i in range(100, 130)], "identifier", "."),
        ([str(3 * i) for i in range(30)], "number", "."),
        ([str(i) for i in range(5)], "number", "."),
    ],
)
def test_types_are_inferred(cells, kind, decimal):
    assert infer("x", cells) == Column("x", kind, decimal)


def test_whole_numbers_that_all_differ_are_identifiers_by_their_name():
    cells = [str(17 * i % 1009) for i in range(40)]
    assert infer("customer_id", cells).type == infer("ID", cells).type == "identifier"
    assert infer("paid", cells).type == "number"


def test_cells_are_read_by_the_type():
    assert Column("x", "number", ",").read(" 1,5 ") == "1.5"
    assert Column("x", "category").read(" N/A ") == ""
    with pytest.raises(RecipeError, match="'size' holds numbers, got 'big'"):
        Column("size", "number").read("big")


@pytest.mark.parametrize(
    ("cell", "order", "found"),
    [
        ("1970-01-02", "iso", 1.0),
        ("2026-11-29", "iso", 20786.0),
        ("2026-11-29 12:00", "iso", 20786.5),
        ("2026-11-29T06:00:00Z", "iso", 20786.25),
        ("2026-11-29T02:00+02:00", "iso", 20786.0),
        ("1969-12-31", "iso", -1.0),
        ("29.11.2026", "day.month", 20786.0),
        ("1.5.2026", "day.month", 20574.0),
        ("29/11/2026", "day/month", 20786.0),
        ("11/29/2026 18:00", "month/day", 20786.75),
        ("29/11/2026", "month/day", None),
        ("29.02.2026", "day.month", None),
        ("2026-13-01", "iso", None),
        ("20261129", "iso", None),
        ("2.5", "day.month", None),
    ],
)
def test_days_of_dates(cell, order, found):
    assert days(cell, order) == found


@pytest.mark.parametrize(
    ("cells", "order"),
    [
        (["2026-11-29", "", "2025-01-01 18:00"], "iso"),
        (["1.2.2026", "29.11.2026"], "day.month"),
        (["11/12/2026", "13/12/2026"], "day/month"),
        (["11/12/2026", "12/13/2026"], "month/day"),
    ],
)
def test_a_column_of_dates_is_one_of_numbers(cells, order):
    column = infer("sold", cells)
    assert column == Column("sold", "number", date=order)
    for cell in filter(None, cells):
        assert column.read(cell) == f"{days(cell, order):.12g}"
    assert column.read(" ? ") == ""
    for cell in ("soon", "2026"):
        with pytest.raises(RecipeError, match=f"'sold' holds dates, got '{cell}'"):
            column.read(cell)
    assert "(dates " in describe([column], {"sold": ["20786"]})[0]


@pytest.mark.parametrize("third", ["13/12/2026", "10/12/2026"])
def test_another_table_of_dates_is_read_as_the_one_trained_on(third):
    """In the second table nothing may tell the month."""
    trained = infer("sold", ["11/12/2026", "13/12/2026"])
    cells = ["11/12/2026", "12/12/2026", third] * 10
    there = infer("sold", cells)
    rows = np.array([[there.read(cell)] for cell in cells], object)
    split = Split(rows, np.zeros(len(cells), int))
    info = DataInfo(
        "n", "", "own", "f", "table", ("a",), "N", "", {}, {"columns": [there.to_dict()]}
    )
    found = like(Splits(split, split, split, info), {"columns": [trained.to_dict()]})
    expected = [trained.read(cell) for cell in cells]
    assert found.train.x[:, 0].tolist() == found.test.x[:, 0].tolist() == expected


def test_dates_in_doubt_are_categories():
    assert infer("sold", ["11/12/2026", "10/11/2026"] * 20).type == "category"
    assert infer("sold", ["2026-11-29", "29.11.2026"] * 20).type == "category"
    assert infer("sold", ["2026-11-29", "2026-11-30", "soon"] * 20).type == "category"


def test_groups_of_dates_are_named_by_dates():
    column = Column("sold", "number", date="iso")
    cells = [column.read(f"2026-01-{day:02}") for day in range(1, 13)]
    found = slices.groups_of(cells, column).tolist()
    assert found[:3] == ["2026-01-01 to 2026-01-03"] * 3
    assert in_words([column], cells[:1]) == "sold 2026-01-01"
    assert column.show("20089.75") == "2025-01-01"


def test_names_are_split():
    assert split_names(" sex, race,") == ("sex", "race")
    assert split_names("") == ()


@pytest.mark.parametrize("delimiter", [";", "\t", ","])
def test_own_tables_of_spreadsheets(delimiter, tmp_path):
    lines = ["id,size,sort,note,label", *(f"h{i},{row}" for i, row in enumerate(ROWS))]
    lines = [
        lines[0],
        *(line.rsplit(",", 1)[0] + ",same," + line.rsplit(",", 1)[1] for line in lines[1:]),
    ]
    lines[3] = "h2,?,,same,no"
    path = tmp_path / "homes.csv"
    path.write_text("\n".join(lines).replace(",", delimiter), encoding="utf-8-sig")
    splits = load(path)
    types = {column.name: column.type for column in columns_of(splits.info.reading)}
    assert types == {"id": "identifier", "size": "number", "sort": "category", "note": "constant"}
    assert splits.train.x.shape[1] == 4
    said = "\n".join(splits.info.remarks)
    assert "numbers: size" in said
    assert "categories (values): sort (2)" in said
    assert "missing values: size 2.5 %, sort 2.5 %" in said
    assert "id (each row has its own value), note (the same value everywhere)" in said
    assert splits.info.class_names == ("no", "yes")


def test_copies_stay_on_one_side_and_groups_too(tmp_path):
    path = tmp_path / "t.csv"
    lines = [f"{i % 25},{'ab'[i % 3 == 0]},p{i % 25},{i % 2}" for i in range(50)]
    path.write_text("\n".join(["n,kind,person,y", *lines]))
    splits = load(path, label_column="y", group_column="person")
    assert "person" not in [column.name for column in columns_of(splits.info.reading)]
    parts = [set(part.x[:, 0]) for part in (splits.train, splits.val, splits.test)]
    assert sum(map(len, parts)) == len(set.union(*parts))
    again = tmp_path / "copies.csv"
    again.write_text(
        "\n".join(["n,kind,label", *(f"{i % 20 / 2},{'ab'[i % 2]},{i % 2}" for i in range(40))])
    )
    assert "20 of 40 examples are copies" in "\n".join(load(again).info.remarks)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("size,sort\n1,a\n", "column label is missing.*--label-column"),
        ("label\n" + "a\nb\n" * 9, "no column to learn from"),
        ("size,size,label\n1,2,a\n", "several columns 'size'"),
        ("size,label\n", "no rows"),
        ("size,label\n1,a\n2,\n3,b\n", "1 of 3 rows have no label"),
        ("size,label\n1,a\n2,b,c\n", "3 fields where the header has 2"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(content, words, tmp_path):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(RecipeError, match=words):
        load(tmp_path / "t.csv")


def test_a_test_file_of_another_type_is_refused(tmp_path):
    (tmp_path / "train.csv").write_text("\n".join(["size,sort,label", *ROWS]))
    (tmp_path / "test.csv").write_text("size,sort,label\n50,flat,yes\nlarge,flat,no\n")
    with pytest.raises(RecipeError, match="test.csv, line 3: the column 'size' holds numbers"):
        load(tmp_path)


def test_a_known_table_is_read_with_and_without_its_header(tmp_path, monkeypatch):
    rows = ["50, flat, no", "60, house, yes", "?, flat, no", "70, house, yes"]
    published = tmp_path / "published"
    published.mkdir()
    (published / "homes.data").write_text("\n".join(rows * 2) + "\n\n")
    (published / "homes.test").write_text("|1x3 Cross validator\n" + ".\n".join(rows) + ".\n")
    with_header = tmp_path / "homes"
    with_header.mkdir()
    for name, times in (("homes.csv", 2), ("homes_test.csv", 1)):
        (with_header / name).write_text("\n".join(["size,sort,sold", *rows * times]))
    monkeypatch.setenv("HOMES_DIR", str(published))
    one = load_table(HOMES, Source("full"), 0.25)
    other = load_table(HOMES, Source("full", tmp_path), 0.25)  # the folder above
    for first, second in ((one.train, other.train), (one.test, other.test)):
        np.testing.assert_array_equal(first.x, second.x)
        np.testing.assert_array_equal(first.y, second.y)
    assert one.info.label == "Homes"
    assert one.info.source == "full"
    assert "" in one.test.x[:, 0]
    assert one.test_seen.all()


def test_a_known_table_that_is_absent_or_another_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("HOMES_DIR", raising=False)
    with pytest.raises(RecipeError, match=r"they are at example.org; .*HOMES_DIR"):
        load_table(HOMES, Source("full"), 0.2)
    with pytest.raises(RecipeError, match=r"holds no homes.csv or homes.data"):
        load_table(HOMES, Source("full", tmp_path), 0.2)
    (tmp_path / "homes.csv").write_text("\n".join(["size,sort,sold", *ROWS]))
    (tmp_path / "homes.test").write_text("\n".join(ROWS[:4]))
    with pytest.raises(
        RecipeError, match="expected {'train': 8, 'test': 4} rows, found {'train': 40"
    ):
        load_table(HOMES, Source("full", tmp_path), 0.2)
    with pytest.raises(UsageError, match="unknown table sample"):
        TableSet("a", "A", sample="x", files={}, columns=(), label_column="", counts=(0, 0),
                 variable="", where="")  # fmt: skip


def test_the_sample_is_mixed_and_always_the_same():
    splits = load_table(HOMES, Source("sample"), 0.15)
    types = {column.name: column.type for column in columns_of(splits.info.reading)}
    assert set(types.values()) == {"number", "category", "identifier", "constant"}
    x, y = generate(2000, 1)
    assert 0.4 < y.mean() < 0.6
    assert (x == "").sum() > 100
    np.testing.assert_array_equal(x, generate(2000, 1)[0])


COLUMNS = [Column("size", "number"), Column("id", "identifier"), Column("sort", "category")]
X = rows_of(["1", "a", "x"], ["", "b", "x"], ["3", "c", "y"], ["5", "d", ""], ["3", "e", "x"])


def test_rows_are_encoded_by_hand():
    encoder = TableEncoder.fit(X, COLUMNS, rare=1)
    assert encoder.layout == Layout(numbers=1, missing=1, categories=(4,))
    assert encoder.layout.width == 3
    scale = np.sqrt(2)  # of 1, 3, 5, 3
    found = encoder.encode(X)
    assert found.dtype == np.float32
    # x is 1, as it is the commonest; '' and y by alphabet.
    expected = [[-2 / scale, 0, 1], [0, 1, 1], [0, 0, 3], [2 / scale, 0, 2], [0, 0, 1]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    new = encoder.encode(rows_of(["4", "z", "new"]))
    np.testing.assert_allclose(new, [[1 / scale, 0, 0]], rtol=1e-6)


def test_rare_categories_are_unknown_and_columns_can_be_dropped():
    assert TableEncoder.fit(X, COLUMNS, rare=2).encode(X)[:, 2].tolist() == [1, 1, 0, 0, 1]
    dropped = TableEncoder.fit(X, COLUMNS, drop=["size"], rare=1)
    assert dropped.used == ["sort"]
    assert dropped.encode(X).shape == (5, 1)
    with pytest.raises(UsageError, match=r"no column 'sizes'; did you mean 'size'"):
        TableEncoder.fit(X, COLUMNS, drop=["sizes"])
    with pytest.raises(UsageError, match="no column is left"):
        TableEncoder.fit(X, COLUMNS, drop=["size", "sort"])


def test_ranks_by_hand():
    x = rows_of(*[[cell] for cell in ("0", "0", "0", "0", "0", "0", "2", "6")])
    column = [Column("paid", "number")]
    # Six zeros, and two others: each value stands in the middle of its stretch of ranks.
    many = TableEncoder.fit(x, column, bins=1).encode(rows_of(["0"], ["2"], ["4"], ["6"], ["99"]))
    np.testing.assert_allclose(many[:, 0], [3 / 8, 6.5 / 8, 7 / 8, 7.5 / 8, 7.5 / 8], atol=1e-6)
    # With four bins of two rows, the zeros count as two.
    capped = TableEncoder.fit(x, column, bins=4).encode(rows_of(["0"], ["2"], ["6"]))
    np.testing.assert_allclose(capped[:, 0], [1 / 4, 2.5 / 4, 3.5 / 4], atol=1e-6)


def test_ranks_of_many_values_are_close_to_the_true_ones():
    values = np.random.default_rng(0).lognormal(size=5000)
    x = rows_of(*[[f"{value:.6f}"] for value in values])
    encoder = TableEncoder.fit(x, [Column("v", "number")], bins=8)
    assert len(encoder.numbers[0]["values"]) <= 258
    true = (values.argsort().argsort() + 0.5) / 5000
    assert np.abs(encoder.encode(x)[:, 0] - true).max() < 0.006


def test_an_encoder_survives_its_file(tmp_path):
    encoder = TableEncoder.fit(X, COLUMNS, bins=2, rare=1)
    encoder.save(tmp_path / "columns.json")
    loaded = TableEncoder.load(tmp_path / "columns.json")
    np.testing.assert_array_equal(loaded.encode(X), encoder.encode(X))
    assert loaded.layout == encoder.layout
    (tmp_path / "columns.json").write_text(json.dumps({"columns": []}))
    with pytest.raises(RecipeError, match="does not describe columns"):
        TableEncoder.load(tmp_path / "columns.json")


READING = {"columns": [column.to_dict() for column in COLUMNS]}


def test_rows_to_predict_come_in_any_order(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("other;sort;size\n1;x;4\n2;;big\n;;\n3;y;?\n")
    rows = read_rows(str(path), READING)
    assert [row.name for row in rows] == [f"{path}:{number}" for number in (1, 2, 3)]
    assert rows[0].cells == ["4", None, "x"]
    assert read_cells(rows[2]).tolist() == ["", None, "y"]
    with pytest.raises(RecipeError, match="line 3: the column 'size' holds numbers, got 'big'"):
        read_cells(rows[1])
    encoder = TableEncoder.fit(X, COLUMNS, rare=1)
    assert encoder.encode(np.stack([read_cells(rows[0])])).shape == (1, 3)
    path.write_text("size\n4\n")
    with pytest.raises(RecipeError, match="needs the column 'sort', which the table does not have"):
        encoder.encode(np.stack([read_cells(read_rows(str(path), READING)[0])]))


def test_given_counts_rows_and_refuses_other_files(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("sort,size\nx,4\ny,5\n")
    data = {"kind": "table", "reading": READING}
    given = Given([str(path)], data)
    assert given.count == 2
    assert [name for name, _ in given] == [f"{path}:1", f"{path}:2"]
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(RecipeError, match="expected a CSV file"):
        Given([str(tmp_path / "a.txt")], data)
    with pytest.raises(UsageError, match="standard input"):
        Given(["-"], data)
    with pytest.raises(UsageError, match="folder"):
        Given([str(tmp_path)], data)


def test_another_table_gets_the_columns_of_the_one_trained_on(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "\n".join(
            [
                "sort,label,size",
                *(
                    ",".join((row.split(",")[1], row.split(",")[2], row.split(",")[0]))
                    for row in ROWS
                ),
            ]
        )
    )
    splits = load(path)
    assert [column.name for column in columns_of(splits.info.reading)] == ["sort", "size"]
    other = like(splits, READING)
    assert other.test.x[0].tolist() == [splits.test.x[0, 1], None, splits.test.x[0, 0]]
    assert other.info.reading == READING
    assert like(other, READING) is other
