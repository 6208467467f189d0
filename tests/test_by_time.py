"""`--time-column`: validation and test are the latest examples, and folds train on what came before."""

import csv
import datetime

import numpy as np
import pytest

from common.basics.errors import RecipeError, UsageError
from common.basics.files import read_json
from common.cli import main
from common.data import NumberTable, Reading, Source, TableSet, TextSet, load_table, load_texts
from common.data.by_time import latest_cut, shown, times_of
from common.data.columns import Column, columns_of
from common.data.csv_table import read_table
from common.data.dates import PARTS, part_of, parts_among
from common.data.table_encoder import TableEncoder
from common.tuning.folds import cut

START = datetime.date(2024, 12, 1)
ADULT = TableSet(
    "adult",
    "Adult",
    variable="ADULT_DIR",
    where="nowhere",
    columns=("a",),
    label_column="a",
    files={"train": ("a",)},
    counts=(1,),
    sample="customers",
)
HOUSES = NumberTable("houses", "Houses", target="price", sample="houses", test_fraction=0.25)
REVIEWS = TextSet("imdb_reviews", "IMDB reviews", config="plain_text", sample="reviews")


def day(number, form="%Y-%m-%d"):
    return (START + datetime.timedelta(number)).strftime(form)


def table(path, rows, header=("size", "sold", "label")):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def shuffled(rows):
    rows = list(rows)
    np.random.default_rng(0).shuffle(rows)
    return rows


def load(path, kind=HOUSES, fraction=0.2, **reading):
    source = Source(str(path), reading=Reading(**reading))
    return load_table(kind, source, validation_fraction=fraction)


def sizes(split):
    """Returns the numbers of the rows, whose size is three times the number."""
    return sorted((split.x[:, 0].astype(int) // 3).tolist())


# The cut


def test_the_latest_are_held_out_and_equal_times_stay_together():
    times = np.array([5, 1, 3, 3, 2, 3, 4])
    kept, held = latest_cut(times, 0.3)
    assert (kept.tolist(), held.tolist()) == ([1, 2, 3, 4, 5], [0, 6])
    # Five of seven have times from 3 on, two from 4 on: 3.5 is nearer to five or to two, not between.
    kept, held = latest_cut(times, 0.6)
    assert (kept.tolist(), held.tolist()) == ([1, 4], [0, 2, 3, 5, 6])
    for fraction in (0.01, 0.99):
        kept, held = latest_cut(times, fraction)
        assert len(kept)
        assert len(held)
    with pytest.raises(RecipeError, match="all times are equal"):
        latest_cut(np.ones(4), 0.5)


def test_a_group_is_as_late_as_its_latest_example():
    times = np.array([1, 9, 2, 3, 4, 5])
    groups = np.array([7, 7, 8, 9, 10, 11])
    kept, held = latest_cut(times, 1 / 3, groups)
    assert (kept.tolist(), held.tolist()) == ([2, 3, 4, 5], [0, 1])


@pytest.mark.parametrize(
    ("cells", "times"),
    [
        (["2024-01-31", "2024-02-01"], ["2024-01-31", "2024-02-01"]),
        (["31.01.2024 06:30", "01.02.2024"], ["2024-01-31T06:30", "2024-02-01"]),
        (["1/31/2024", "2/1/2024"], ["2024-01-31", "2024-02-01"]),
    ],
)
def test_dates_in_every_form_are_times(tmp_path, cells, times):
    path = table(tmp_path / "a.csv", [[cell] for cell in cells], ["sold"])
    found = times_of(path, read_table(path, {"time": "sold"}))
    assert found.tolist() == np.array(times, "datetime64[s]").tolist()


def test_numbers_are_times(tmp_path):
    path = table(tmp_path / "a.csv", [["1,010,500.5"], ["7"]], ["sold"])
    assert times_of(path, read_table(path, {"time": "sold"})).tolist() == [1010500.5, 7]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["2024-01-31", "soon"], r"a\.csv, line 3: expected a date or a number .* got 'soon'"),
        (["2024-01-31", "31.01.2024"], r"line 2: .*written in one way"),
        (["1/2/2024", "3/4/2024"], "whether '1/2/2024' begins with its day or its month"),
    ],
)
def test_what_is_no_time_is_refused(tmp_path, cells, message):
    path = table(tmp_path / "a.csv", [[cell] for cell in cells], ["sold"])
    with pytest.raises(RecipeError, match=message):
        times_of(path, read_table(path, {"time": "sold"}))


def test_times_are_shown_as_dates():
    assert shown(np.datetime64("2024-12-31T00:00:00", "s")) == "2024-12-31"
    assert shown(np.datetime64("2024-12-31T06:30:00", "s")) == "2024-12-31 06:30:00"
    assert shown(np.float64(2024)) == "2,024"


# Tables


def test_a_table_is_split_by_time(tmp_path):
    rows = [[3 * n, day(n, "%d.%m.%Y"), 3 * n % 17] for n in range(100)]
    path = table(tmp_path / "houses.csv", shuffled(rows))
    splits = load(path, time_column="sold")
    assert sizes(splits.test) == [*range(85, 100)]
    assert sizes(splits.val) == [*range(68, 85)]
    assert sizes(splits.train) == [*range(68)]
    assert f"split by time: the test split begins with {day(85)}" in splits.info.remarks
    assert f"split by time: validation begins with {day(68)}" in splits.info.remarks
    assert splits.info.reading["time_column"] == "sold"
    columns = [(each["name"], each["type"]) for each in splits.info.reading["columns"]]
    assert columns == [("size", "number"), ("sold", "time")]
    assert "sold: decides the splits; given to the model as weekday" in splits.info.remarks
    at_random = load(path)
    assert "numbers: size, sold (dates 31.12.2026, as days, weekday)" in at_random.info.remarks
    assert any(line.startswith("sold: the splits are random") for line in at_random.info.remarks)
    assert sizes(at_random.test) != sizes(splits.test)
    assert at_random.info.fingerprint != splits.info.fingerprint


@pytest.mark.parametrize(
    ("moment", "month", "weekday", "hour"),
    [
        ("1970-01-01", "1", "3", "0"),
        ("2026-12-01 10:44", "12", "1", "10"),
        ("2026-12-01 10:00", "12", "1", "10"),
        ("2024-02-29 23:59:59", "2", "3", "23"),
        ("1969-12-31 13:00", "12", "2", "13"),
    ],
)
def test_parts_of_a_date(moment, month, weekday, hour):
    cell = Column("sold", "time", date="iso").read(moment)
    assert [part_of(cell, part) for part in PARTS] == [month, weekday, hour]
    assert [part_of("", part) for part in PARTS] == [""] * 3


@pytest.mark.parametrize(
    ("moments", "parts"),
    [
        (["2026-12-01", "2026-12-08"], []),
        (["2026-12-01", "2026-12-09"], ["weekday"]),
        (["2026-12-01", "2026-12-15"], []),  # Always on a Tuesday.
        (["2026-12-01 10:00", "2026-12-03 11:00"], ["hour"]),
        (["2026-12-01", "", "2027-12-02"], ["weekday"]),
        (["2026-12-01", "2027-12-04", "2027-06-01"], ["month", "weekday"]),
        ([""], []),
    ],
)
def test_parts_are_given_where_they_differ_and_come_again(moments, parts):
    column = Column("sold", "time", date="iso")
    assert parts_among([column.read(moment) for moment in moments]) == parts


def test_the_encoder_sees_months_and_weekdays_but_not_the_day(tmp_path):
    rows = [[3 * n, day(n), n % 17] for n in range(500)]
    splits = load(table(tmp_path / "a.csv", rows), time_column="sold")
    columns = columns_of(splits.info.reading)
    encoder = TableEncoder.fit(splits.train.x, columns, rare=1)
    assert [each["name"] for each in encoder.numbers] == ["size"]
    assert [each["part"] for each in encoder.categories] == ["weekday"]
    at_random = load(table(tmp_path / "a.csv", rows))
    encoder = TableEncoder.fit(at_random.train.x, columns_of(at_random.info.reading), rare=1)
    assert [each["name"] for each in encoder.numbers] == ["size", "sold"]
    assert [each["part"] for each in encoder.categories] == ["month", "weekday"]
    encoder = TableEncoder.fit(splits.train.x, columns, rare=1, drop=("sold",))
    assert encoder.used == ["size"]
    rows = [[3 * n, day(n), n % 17] for n in range(700)]
    splits = load(table(tmp_path / "a.csv", rows), time_column="sold")
    encoder = TableEncoder.fit(splits.train.x, columns, rare=1)
    assert encoder.layout.categories == (13, 8)
    assert encoder.used == ["size", "sold"]
    sold = START + datetime.timedelta(700)
    (row,) = encoder.encode(np.array([["3", str((sold - datetime.date(1970, 1, 1)).days)]], object))
    month, weekday = (each["values"] for each in encoder.categories)
    assert month[int(row[-2]) - 1] == str(sold.month)
    assert weekday[int(row[-1]) - 1] == str(sold.weekday())
    encoder.save(tmp_path / "columns.json")
    loaded = TableEncoder.load(tmp_path / "columns.json")
    assert np.array_equal(loaded.encode(splits.test.x), encoder.encode(splits.test.x))


def test_a_table_of_times_alone_is_one_to_learn_from(tmp_path):
    rows = [[day(n), n % 7] for n in range(100)]
    path = table(tmp_path / "a.csv", rows, ("sold", "label"))
    assert load(path, time_column="sold").train.x.shape[1] == 1
    path = table(tmp_path / "b.csv", [[n, n % 7] for n in range(100)], ("step", "label"))
    with pytest.raises(RecipeError, match="no column to learn from"):
        load(path, time_column="step")


def test_rows_without_a_time_are_left_out_and_told(tmp_path):
    rows = [[3 * n, day(n) if n else "", n % 17] for n in range(40)]
    splits = load(table(tmp_path / "a.csv", rows), time_column="sold")
    assert sum(splits.info.counts.values()) == 39
    assert "a.csv: rows left out: 1 without a time" in splits.info.remarks
    rows = [[3 * n, day(n) if n > 4 else "", n % 17] for n in range(40)]
    with pytest.raises(RecipeError, match="5 of 40 rows have no time; .* --time-column"):
        load(table(tmp_path / "a.csv", rows), time_column="sold")


def test_a_class_of_later_days_only_is_an_error(tmp_path):
    rows = [[3 * n, day(n), "old" if n % 2 else "rare"] for n in range(80)]
    rows += [[3 * n, day(n), "new"] for n in range(80, 100)]
    with pytest.raises(RecipeError, match=f"class 'new' has no example before {day(76)}"):
        load(table(tmp_path / "a.csv", rows[:90]), ADULT, time_column="sold")


def test_a_given_test_split_may_not_be_later(tmp_path):
    rows = [[3 * n, day(n), n % 17] for n in range(60)]
    table(tmp_path / "train.csv", rows[:50])
    for first, said in ((50, f"test split begins with {day(50)}"), (40, "not those of later")):
        table(tmp_path / "test.csv", rows[first:])
        remarks = load(tmp_path, time_column="sold").info.remarks
        assert any(said in line for line in remarks)


def test_only_csv_files_have_times(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array(["a", "b"]), y=[0, 1])
    source = Source(str(tmp_path / "a.npz"), reading=Reading(time_column="sold"))
    with pytest.raises(UsageError, match="--time-column is for CSV files"):
        load_texts(REVIEWS, source, validation_fraction=0.2)


# Texts, folds, a whole run


def texts(path, count=60):
    rows = [[f"text {n}", n, "ab"[n % 2]] for n in range(count)]
    return table(path, shuffled(rows), ["text", "step", "label"])


def test_texts_are_split_by_time_and_folds_train_on_what_came_before(tmp_path):
    source = Source(str(texts(tmp_path / "a.csv")), reading=Reading(time_column="step"))
    splits = load_texts(REVIEWS, source, validation_fraction=0.2)
    numbers = [
        sorted(int(text.split()[1]) for text in part.x)
        for part in (splits.train, splits.val, splits.test)
    ]
    assert [n for part in numbers for n in part] == [*range(60)]
    seen = []
    for fold in range(4):
        part = cut(splits, fold, 4)
        assert part.train.times.max() < part.val.times.min()
        assert part.info.counts["train"] == len(part.train)
        seen += sorted(part.val.times.tolist())
    assert seen == [*range(51 - len(seen), 51)]  # None of the test split, none twice.


def test_what_occurs_again_later_is_no_copy_and_is_scored_without_it_too(tmp_path):
    rows = [[f"text {n % 7 if n < 95 else n}", n, "ab"[n % 2]] for n in range(100)]
    path = table(tmp_path / "a.csv", rows, ["text", "step", "label"])
    source = Source(str(path), reading=Reading(time_column="step"))
    splits = load_texts(REVIEWS, source, validation_fraction=0.2)
    assert len(splits.test) == 15
    assert splits.test.groups is None
    assert splits.test_seen.tolist() == [True] * 10 + [False] * 5
    said = "\n".join(splits.info.remarks)
    assert "test split: 10 of its 15 examples also occur" in said
    assert "copies stay on one side" not in said


def test_texts_without_a_time_are_left_out(tmp_path):
    rows = [[f"text {n}", "n/a" if n == 3 else n, "ab"[n % 2]] for n in range(60)]
    path = table(tmp_path / "a.csv", rows, ["text", "step", "label"])
    source = Source(str(path), reading=Reading(time_column="step"))
    splits = load_texts(REVIEWS, source, validation_fraction=0.2)
    assert sum(splits.info.counts.values()) == 59
    assert "a.csv: rows left out: 1 without a time" in splits.info.remarks


def test_equal_times_are_in_one_fold_or_left_out(tmp_path):
    rows = [[f"text {n}", n // 20, "ab"[n % 2]] for n in range(60)]
    path = table(tmp_path / "a.csv", rows, ["text", "step", "label"])
    source = Source(str(path), reading=Reading(time_column="step"))
    splits = load_texts(REVIEWS, source, validation_fraction=0.2)
    with pytest.raises(RecipeError, match="no example is earlier than fold 1; take fewer folds"):
        cut(splits, 0, 3)


def test_a_run_is_trained_on_the_past_and_says_so(tmp_path, capsys):
    random = np.random.default_rng(0)
    # Sales follow the weekday; what size says of them is little.
    rows = [
        [n := int(random.integers(100)), day(d, "%d.%m.%Y"), n + 100 * ((d - 1) % 7)]
        for d in range(280)
    ]
    path = table(tmp_path / "sales.csv", shuffled(rows), ["size", "sold", "price"])
    run = str(tmp_path / "run")
    words = ["--data", str(path), "--label-column", "price", "--time-column", "sold"]
    assert main(["train", "diabetes_mlp", *words, "--epochs", "40", "--run-dir", run]) == 0
    printed = capsys.readouterr().out
    assert f"split by time: the test split begins with {day(238)}" in printed
    assert read_json(tmp_path / "run" / "metrics.json", "figures")["test"]["r2"] > 0.5
    capsys.readouterr()
    assert main(["evaluate", run, "--slice", "sold"]) == 0
    assert f"{day(238)} to {day(248)}" in capsys.readouterr().out
    new = tmp_path / "new.csv"
    new.write_text(f"size,sold\n7,{day(400, '%d.%m.%Y')}\n8,\n")
    assert main(["predict", run, str(new)]) == 0
    capsys.readouterr()
    new.write_text("size\n7\n")
    assert main(["predict", run, str(new)]) == 1
    assert "the model needs the column 'sold'" in capsys.readouterr().err
