"""CSV files as people have them: delimiters, encodings, columns of any name, rows that lack something."""

import gzip

import numpy as np
import pytest

from common.basics.errors import RecipeError
from common.data import own, own_csv
from common.data.inputs import Given
from common.data.source import Reading

ROWS = [
    (f"good film {index}" if index % 2 else f"bad film {index}", index % 2) for index in range(40)
]


def written(path, rows=ROWS, header=("text", "label"), delimiter=",", encoding="utf-8", end=""):
    lines = [delimiter.join(map(str, row)) + end for row in (header, *rows)]
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode(encoding))
    return path


def read(path, **reading):
    return own_csv.read({"train": path}, Reading(**reading))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_delimiters_and_encodings_of_spreadsheets(tmp_path, delimiter, encoding):
    rows = [(f"schön, {text}" if delimiter != "," else f"schön {text}", y) for text, y in ROWS]
    arrays = read(written(tmp_path / "a.csv", rows, delimiter=delimiter, encoding=encoding))
    assert arrays.train.x.tolist() == [text for text, _ in rows]
    assert arrays.train.y.tolist() == [label for _, label in rows]
    said = arrays.remarks[0]
    assert said.startswith("a.csv: 40 rows; text in 'text', label in 'label'")
    assert ("semicolons" in said) == (delimiter == ";")
    assert ("UTF-16" in said) == encoding.startswith("utf-16")


def test_delimiters_after_the_last_column(tmp_path):
    assert len(read(written(tmp_path / "a.csv", delimiter=";", end=";;")).train) == 40
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "".join(f"{text},{label},,\n" for text, label in ROWS))
    assert len(read(path).train) == 40


def test_a_file_that_goes_on_in_another_encoding(tmp_path):
    path = written(tmp_path / "a.csv", encoding="utf-16")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RecipeError, match="begins as UTF-16"):
        read(path)


@pytest.mark.parametrize(
    ("text", "encoding", "named"),
    [
        ("ein schöner Film und très drôle", "cp1252", "cp1252"),
        ("这部电影很好看我很喜欢", "gb18030", "gb18030"),
        ("とても面白い映画でした", "cp932", "cp932"),
        ("очень хороший фильм", "cp1251", "cp1251"),
    ],
)
def test_another_encoding_is_named_and_how_to_convert_it(tmp_path, text, encoding, named):
    path = written(tmp_path / "old.csv", [(text, 1)] * 30, encoding=encoding)
    with pytest.raises(RecipeError, match=named) as caught:
        read(path)
    said = str(caught.value)
    assert f"{path} is not a readable UTF-8 CSV file: line 2 is not UTF-8" in said
    assert "iconv -f" in said
    assert "\n" not in said


def test_columns_of_other_names(tmp_path):
    header = ("ID", "Review", "Sentiment")
    path = written(tmp_path / "a.csv", [(n, *row) for n, row in enumerate(ROWS)], header)
    with pytest.raises(RecipeError, match="found: ID, Review, Sentiment.*--text-column"):
        read(path)
    arrays = read(path, text_column="review", label_column="Sentiment")
    assert arrays.train.x[1] == "good film 1"
    assert arrays.reading == {"text_column": "Review", "label_column": "Sentiment"}
    with pytest.raises(
        RecipeError, match="column Sentimental is missing.*did you mean 'Sentiment'"
    ):
        read(path, text_column="Review", label_column="Sentimental")
    with pytest.raises(RecipeError, match="one column cannot be"):
        read(path, text_column="Review", label_column="review")
    texts = written(tmp_path / "b.csv", header=("texts", "label"))
    with pytest.raises(RecipeError, match="did you mean 'texts'"):
        read(texts)
    twice = written(tmp_path / "c.csv", [(*row, 1) for row in ROWS], ("text", "label", "label"))
    with pytest.raises(RecipeError, match="several columns 'label'"):
        read(twice)


def test_the_delimiter_is_that_by_which_the_header_has_the_columns(tmp_path):
    # More commas than semicolons, and a column of that very name with a comma in it.
    rows = [(f"one, two, three {index}", f"c{index % 2}") for index in range(20)]
    path = written(tmp_path / "a.csv", rows, ("text, whole, of it", "label"), ";")
    assert read(path, text_column="text, whole, of it").train.x[0] == "one, two, three 0"


def test_a_file_without_a_header_does_not_print_its_texts(tmp_path):
    path = written(tmp_path / "a.csv", [("x" * 5000, "pos")] * 9, ("y" * 5000, "neg"))
    with pytest.raises(RecipeError, match="column text is missing") as caught:
        read(path)
    assert len(str(caught.value)) < 500


def test_rows_without_a_text_or_a_label_are_left_out_and_counted(tmp_path):
    rows = [*ROWS, ("", 1), (" ", 0), ("fine", ""), ("", ""), ("", "")]
    arrays = read(written(tmp_path / "a.csv", rows))
    assert len(arrays.train) == 40
    assert (
        "a.csv: rows left out: 2 without a text, 1 without a label, 2 that are empty"
        in arrays.remarks
    )
    with pytest.raises(RecipeError, match=r"of 45 rows, 5 without a text \(the first in line 42\)"):
        read(written(tmp_path / "a.csv", [*ROWS, *[("", 1)] * 5]))


def test_lengths_are_in_words_of_the_script(tmp_path):
    rows = [("three words here", 0), ("很好看", 1), ("one", 0), ("four words are here", 1)] * 5
    said = read(written(tmp_path / "a.csv", rows)).remarks[1]
    assert said == "a.csv: texts of 3 words in the median, 4 the longest"


@pytest.mark.parametrize(
    "rows",
    [
        [(["pos", "neg"][index % 2], f"a whole review, number {index}") for index in range(40)],
        [(f"review {index}", f"{index / 40:.3f}") for index in range(120)],
        [(f"review {index}", str(index // 2)) for index in range(120)],
    ],
    ids=["swapped", "number", "pairs"],
)
def test_columns_swapped_or_a_number_to_predict(tmp_path, rows):
    rows = [(text, f'"{label}"') for text, label in rows]
    with pytest.raises(RecipeError, match="the label column 'label' holds .* to predict"):
        own.load_texts(written(tmp_path / "a.csv", rows))


def test_many_classes_of_enough_rows_are_fine(tmp_path):
    rows = [(f"review {index}", index % 100) for index in range(400)]
    assert len(read(written(tmp_path / "a.csv", rows)).class_names) == 100


def test_classes_that_hardly_differ_are_remarked(tmp_path):
    names = ["Good", "good", "not good", "Notgood", "bad"]
    rows = [(f"text {index}", names[index % 5]) for index in range(40)]
    arrays = read(written(tmp_path / "a.csv", rows))
    assert len(arrays.class_names) == 5
    said = " ".join(arrays.remarks)
    assert "The classes 'Good' and 'good' differ" in said
    assert "The classes 'Notgood' and 'not good' differ" in said
    assert "'bad'" not in said


def test_groups_are_handed_on_and_rows_without_one_stand_alone(tmp_path):
    rows = [(*row, f"c{n // 4}" if n % 10 else " ") for n, row in enumerate(ROWS)]
    path = written(tmp_path / "a.csv", rows, ("text", "label", "customer"))
    assert read(path).groups is None
    arrays = read(path, group_column="Customer")
    assert arrays.names[:2] == ["line 2", "line 3"]
    groups = arrays.groups
    assert groups.shape == (40,)
    assert groups[1] == groups[2] == "c0"
    assert len(np.unique(groups[::10])) == 4
    with pytest.raises(RecipeError, match="column client is missing"):
        read(path, group_column="client")


def test_groups_of_train_and_of_test(tmp_path):
    rows = [(*row, f"c{n // 4}") for n, row in enumerate(ROWS)]
    header = ("text", "label", "customer")
    files = {part: written(tmp_path / f"{part}.csv", rows, header) for part in ("train", "test")}
    arrays = own_csv.read(files, Reading(group_column="customer"))
    assert arrays.test_groups.tolist() == arrays.groups.tolist() == [row[2] for row in rows]


def test_train_and_test_may_be_written_differently(tmp_path):
    files = {
        "train": written(tmp_path / "train.csv"),
        "test": written(tmp_path / "test.csv", ROWS[:4], delimiter=";", encoding="utf-16"),
    }
    arrays = own_csv.read(files, Reading())
    assert arrays.test.x.tolist() == [text for text, _ in ROWS[:4]]
    assert [remark.split(":")[0] for remark in arrays.remarks] == ["train.csv"] * 2 + [
        "test.csv"
    ] * 2


# Compressed files, and files of other programs


def compressed(path):
    """Compresses a file, and returns the path of what is left of it."""
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return packed


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_compressed_files_are_read(tmp_path, encoding):
    path = compressed(written(tmp_path / "train.csv", delimiter=";", encoding=encoding))
    assert read(path).train.x.tolist() == [text for text, _ in ROWS]
    assert own_csv.find(tmp_path) == {"train": path}
    texts = [row.text for _, row in Given([str(path)], {"kind": "text"})]
    assert texts == [text for text, _ in ROWS]
    written(tmp_path / "test.tsv", delimiter="\t")
    assert own_csv.find(tmp_path) == {"train": path, "test": tmp_path / "test.tsv"}
    written(tmp_path / "train.csv")
    with pytest.raises(RecipeError, match=r"holds train\.csv and train\.csv\.gz: leave one there"):
        own_csv.find(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "flipped", "plain", "cp1252"])
def test_damaged_compressed_files_are_named(tmp_path, damage):
    path = compressed(written(tmp_path / "a.csv", ROWS * 50))
    held = bytearray(path.read_bytes())
    if damage == "cut":
        held = held[: len(held) // 2]
    elif damage == "flipped":
        held[-6] ^= 255  # Of the checksum.
    elif damage == "plain":
        held = b"text,label\na,b\n"
    else:
        held = gzip.compress("text,label\ncafé,b\n".encode("cp1252"))
    path.write_bytes(held)
    with pytest.raises(RecipeError, match=r"a\.csv\.gz is not a readable UTF-8 CSV file: \S"):
        read(path)
    if damage != "cp1252":  # There a row has a problem of its own.
        with pytest.raises(RecipeError, match=r"a\.csv\.gz is not a readable CSV file"):
            Given([str(path)], {"kind": "text"})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("a.xlsx", "save the sheet as 'CSV UTF-8'"),
        ("a.parquet", r"pandas\.read_parquet\('.*a\.parquet'\)\.to_csv"),
        ("a.jsonl", r"pandas\.read_json\('.*a\.jsonl', lines=True\)\.to_csv"),
        ("a.txt", r"got \S*a\.txt$"),
        ("", "a folder without class folders and without train.csv"),
    ],
)
def test_what_is_no_csv_is_told_how_to_become_one(tmp_path, name, hint):
    if name:
        (tmp_path / name).write_bytes(b"PK")
    for load in (own.load_texts, own.load_table):
        with pytest.raises(RecipeError, match=hint):
            load(tmp_path / name)
