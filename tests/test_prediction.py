"""`recipes predict`: folders, CSV files, damaged files among good ones, names that are no UTF-8."""

import csv
import io
import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

from common.basics.errors import RecipeError
from common.cli import main
from common.data import input_contents, inputs
from common.tasks import answers
from common.tasks.classification import Classification
from tests.helpers import train_tiny

IMAGES, TEXTS = {"kind": "image"}, {"kind": "text"}
NO_UTF8 = os.fsdecode(b"caf\xe9.png")


@pytest.fixture(scope="module")
def image_run(tiny_data, tmp_path_factory):
    directory = tmp_path_factory.mktemp("predict") / "image"
    return train_tiny("mnist_cnn", tiny_data["image"], directory, epochs=1)[0]


@pytest.fixture(scope="module")
def text_run(tiny_data, tmp_path_factory):
    directory = tmp_path_factory.mktemp("predict") / "text"
    return train_tiny("imdb_bilstm", tiny_data["text"], directory, epochs=1)[0]


@pytest.fixture
def photos(tmp_path):
    """A folder of class folders: six images, one of them damaged, and two other files."""
    folder = tmp_path / "photos"
    random = np.random.default_rng(0)
    for name in ("cats/1.png", "cats/2.JPG", "dogs/deep/3.png", f"dogs/{NO_UTF8}", "4.bmp"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (40, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path, format="JPEG" if name.endswith("JPG") else "PNG")
    (folder / "cats/broken.png").write_text("no image")
    (folder / "cats/notes.txt").write_text("mine")
    (folder / "dogs/._3.png").write_text("what another system leaves")
    return folder


@pytest.fixture
def predict(capsys):
    """Returns a function that runs the command and gives its exit code and what it prints."""

    def run(*words):
        capsys.readouterr()
        code = main(["predict", *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_is_walked_for_images(photos):
    given = inputs.Given([str(photos)], IMAGES)
    names = [name for name, _ in given]
    found = ["4.bmp", "cats/1.png", "cats/2.JPG", "cats/broken.png", "dogs/deep/3.png"]
    assert sorted(names) == sorted([*found, f"dogs/{NO_UTF8}"])
    assert (given.count, given.skipped) == (6, 2)


def test_names_say_which_folder_where_more_is_given(photos):
    single = photos / "4.bmp"
    names = [name for name, _ in inputs.Given([str(photos / "cats"), str(single)], IMAGES)]
    assert names == [str(photos / f"cats/{name}") for name in ("1.png", "2.JPG", "broken.png")] + [
        str(single)
    ]


def test_links_to_folders_are_followed_once(photos, tmp_path):
    link = tmp_path / "linked" / "pets"
    link.parent.mkdir()
    try:
        link.symlink_to(photos, target_is_directory=True)
    except OSError:
        pytest.skip("no links here")
    (photos / "cats" / "up").symlink_to(tmp_path / "linked", target_is_directory=True)
    given = inputs.Given([str(tmp_path / "linked")], IMAGES)
    assert len(list(given)) == given.count == 6


def test_a_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RecipeError, match=r"nothing to classify: expected .*\.png.*found 1 others"):
        inputs.Given([str(tmp_path)], IMAGES)
    assert inputs.Given([str(tmp_path)], TEXTS).count == 1


def test_a_csv_of_texts_names_no_images(tmp_path):
    (tmp_path / "texts.csv").write_text("text\nfine\n")
    with pytest.raises(RecipeError, match=r"texts\.csv: .*column path is missing.*--path-column"):
        inputs.Given([str(tmp_path / "texts.csv")], IMAGES)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_texts_are_asked_about_in_every_form_that_training_reads(tmp_path, delimiter, encoding):
    file = tmp_path / "reviews.tsv"
    with file.open("w", newline="", encoding=encoding) as stream:
        rows = [["id", "Text"], [1, "so, so; fine"], [2, "schön"]]
        csv.writer(stream, delimiter=delimiter).writerows(rows)
    texts = [input_contents.read_text(row) for _, row in inputs.Given([str(file)], TEXTS)]
    assert texts == ["so, so; fine", "schön"]


def test_rows_of_a_csv_file(tmp_path):
    file = tmp_path / "reviews.csv"
    content = (
        '\ufeffId,Text \n1,"good, ""very""\ngood"\n\n2, \n3,too,many\n4,\udce9t\udce9\n5,"bad"\n'
    )
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    given = inputs.Given([str(file)], TEXTS)
    items = dict(given)
    assert given.count == len(items) == 5
    assert list(items) == [f"{file}:{number}" for number in (1, 2, 3, 4, 5)]
    assert input_contents.read_text(items[f"{file}:1"]) == 'good, "very"\ngood'
    assert input_contents.read_text(items[f"{file}:5"]) == "bad"
    for number, problem in (
        (2, "holds no text"),
        (3, "3 fields where the header has 2"),
        (4, "not UTF-8"),
    ):
        with pytest.raises(RecipeError, match=rf"reviews\.csv:{number} .*{problem}"):
            input_contents.read_text(items[f"{file}:{number}"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", r"column text is missing; found: an empty file; .*--text-column"),
        ("body,id\nx,1\n", r"column text is missing; found: body, id"),
        ("text\n", "no rows below its header"),
        ('text\n"never closed\n', "not a readable CSV file"),
    ],
)
def test_a_csv_file_that_cannot_be_used_is_refused_at_once(tmp_path, content, problem):
    (tmp_path / "reviews.csv").write_text(content)
    with pytest.raises(RecipeError, match=problem):
        inputs.Given([str(tmp_path / "reviews.csv")], TEXTS)


def test_what_is_to_be_translated(tmp_path):
    for name, content in (
        ("a.txt", "one\ttwo\n\nthree\n"),
        ("a.tsv", "one\ttwo\n\nthree\n"),
        ("a.csv", "id;text\n1;one\n2;three\n"),
    ):
        (tmp_path / name).write_text(content)

    def texts(name):
        found = inputs.Given([str(tmp_path / name)], {"kind": "pair"})
        return [row.text for _, row in found]

    assert texts("a.txt") == ["one\ttwo", "", "three"]
    assert texts("a.tsv") == [
        "one",
        "",
        "three",
    ]  # As pairs are learnt from: the source comes first.
    assert texts("a.csv") == ["one", "three"]


def test_another_column_of_a_csv_file(tmp_path):
    (tmp_path / "reviews.csv").write_text("text,body\nx,y\n")
    ((_, row),) = inputs.Given([str(tmp_path / "reviews.csv")], TEXTS, "body")
    assert input_contents.read_text(row) == "y"
    # The column of the training data, where the run says it.
    data = {**TEXTS, "reading": {"text_column": "body"}}
    ((_, row),) = inputs.Given([str(tmp_path / "reviews.csv")], data)
    assert input_contents.read_text(row) == "y"


def test_no_more_is_held_than_is_asked_at_once():
    """Of many files only a few are read before their answers are taken."""
    read, asked = [], []

    def ask(values):
        asked.append(len(values))
        return np.array([[value, 1 - value] for value in values])

    def answer(source):
        if source == 3:
            raise RecipeError("damaged")
        read.append(source)
        return source

    given = ((str(index), index) for index in range(10))
    rows = answers._answers(given, answer, ask, 4)
    for _ in range(4):
        name, probabilities = next(rows)
    assert sorted(read) == [0, 1, 2]
    assert name == "3"
    assert isinstance(probabilities, RecipeError)
    rest = [(name, value[0]) for name, value in rows]
    assert rest == [(str(index), index) for index in range(4, 10)]
    assert asked == [3, 4, 2]


def test_a_damaged_file_loses_no_other_answer(predict, image_run, photos, tmp_path):
    output = tmp_path / "made" / "predictions.csv"
    code, out, err = predict(image_run.directory, photos, "--output", output)
    assert code == 1
    assert out.strip() == f"Wrote {output}"
    lines = err.strip().splitlines()
    assert lines[0] == "note: 2 other files were skipped"
    assert "broken.png" in lines[1]
    assert lines[2].startswith("error: 1 of 6 inputs could not be read")
    rows = {row["name"]: row for row in rows_of(output)}
    assert len(rows) == 6
    assert list(rows["4.bmp"]) == ["name", "class", *(f"probability_{i}" for i in range(3))]
    assert set(rows.pop("cats/broken.png").values()) == {"cats/broken.png", ""}
    assert "dogs/caf\\udce9.png" in rows
    # The same answers as one by one.
    for name in ("4.bmp", "cats/2.JPG"):
        code, out, _ = predict(image_run.directory, photos / name, "--json")
        (alone,) = json.loads(out)
        assert code == 0
        assert rows[name]["class"] == alone["class"]
        for label, value in alone["probabilities"].items():
            assert float(rows[name][f"probability_{label}"]) == pytest.approx(value, abs=1e-6)
    # JSON says it, too; and the files come in the order they were given in.
    files = [photos / "cats/broken.png", photos / "dogs" / NO_UTF8]
    code, out, err = predict(image_run.directory, *files, "--json")
    broken, good = json.loads(out)
    assert code == 1
    assert (broken["class"], broken["probabilities"]) == (None, {})
    assert "broken.png" in broken["error"]
    assert good["file"] == str(files[1])
    code, out, err = predict(image_run.directory, *files)
    assert code == 1
    assert out.splitlines()[0].endswith(": no answer")
    assert len(out.splitlines()) == 2


def test_json_is_as_it_was(predict, image_run, photos):
    code, out, _ = predict(image_run.directory, photos / "4.bmp", photos / "cats/1.png", "--json")
    assert code == 0
    assert out == json.dumps(json.loads(out), indent=2) + "\n"


def test_names_are_printed_in_any_encoding(predict, image_run, photos, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    code, _, _ = predict(image_run.directory, photos / "dogs" / NO_UTF8)
    assert code == 0
    stream.flush()
    assert b"caf\\udce9.png: " in stream.buffer.getvalue()


def test_rows_of_a_csv_file_are_answered(predict, text_run, tmp_path):
    texts = ["great , superb", "Dull, so dull!", "", 'a "quoted" one']
    with (tmp_path / "reviews.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "body"], *([f"{i}", t] for i, t in enumerate(texts))])
    output = tmp_path / "out.csv"
    words = [tmp_path / "reviews.csv", "--text-column", "body", "--output", output]
    code, _, err = predict(text_run.directory, *words)
    assert code == 1
    assert "reviews.csv:3 holds no text" in err
    rows = rows_of(output)
    assert [row["name"] for row in rows] == [f"{tmp_path / 'reviews.csv'}:{i}" for i in range(1, 5)]
    assert [row["class"] == "" for row in rows] == [False, False, True, False]
    (tmp_path / "one.txt").write_text(texts[1])
    alone = json.loads(predict(text_run.directory, tmp_path / "one.txt", "--json")[1])[0]
    assert float(rows[1]["probability_pos"]) == pytest.approx(
        alone["probabilities"]["pos"], abs=1e-6
    )


def test_output_that_cannot_be(predict, image_run, photos, tmp_path):
    (tmp_path / "texts.csv").write_text("text\nfine\n")
    for output, problem in (("predictions.json", "ending in .csv"), ("texts.csv", "would replace")):
        words = [tmp_path / "texts.csv", "--output", tmp_path / output]
        code, _, err = predict(image_run.directory, *words)
        assert code == 2
        assert problem in err
    code, _, err = predict(image_run.directory, photos / "4.bmp", "--json", "--output", "p.csv")
    assert code == 2
    assert "give one" in err
    assert (tmp_path / "texts.csv").read_text() == "text\nfine\n"


def test_an_output_is_whole_or_absent(tmp_path):
    def rows():
        yield "a", np.array([0.25, 0.75], "float32")
        raise KeyboardInterrupt

    writer = answers._Writer(Classification("image"), {"class_names": ["x", "y"]})
    with pytest.raises(KeyboardInterrupt):
        writer.to_csv(rows(), tmp_path / "p.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_shows_the_time_left(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("tqdm.std.time", iter(range(0, 10_000, 5)).__next__)
    rows = answers._watched(iter([("a", None)] * 8), 8, " images", [])
    assert len(list(rows)) == 8
    assert "/8 [" in stream.getvalue()
    assert "<00:" in stream.getvalue()
