"""CSV files that name images: training on them, asking about them, and slices by their other columns."""

import csv

import numpy as np
import pytest
from PIL import Image

from common.basics.errors import RecipeError, UsageError
from common.cli import main
from common.data import ImageSet, Reading, Source, load_images
from common.data.folders import IMAGES
from common.data.inputs import Given
from common.data.named_files import listed, locate
from tests.helpers import train_tiny

CLASSES = ("ant", "bee")
SITES = ("east", "west")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_RECIPE_BOX_CACHE", str(tmp_path / "cache"))


def picture(path, shade):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), shade, np.uint8)).save(path)


def table(path, rows, header=("path", "label", "site"), **form):
    with path.open("w", newline="") as file:
        csv.writer(file, **form).writerows([header, *rows])
    return path


@pytest.fixture
def pets(tmp_path):
    """A CSV file of 60 pictures below its folder: the shade is the number, even ones are ants."""
    rows = []
    for number in range(60):
        picture(tmp_path / "set" / "photos" / f"{number}.png", 4 * number)
        rows.append([f"photos/{number}.png", CLASSES[number % 2], SITES[number % 3 == 0]])
    return table(tmp_path / "set" / "pets.csv", rows)


def load(path, **reading):
    digits = ImageSet("mnist", "MNIST", image_size=(8, 8), channels=1, sample="digits")
    return load_images(digits, Source(str(path), reading=Reading(**reading)), 0.2)


def numbers(split):
    """Returns the numbers of the pictures, by their shades."""
    return split.x[:, 0, 0, 0].astype(int) // 4


def test_images_that_a_csv_names(pets):
    splits = load(pets)
    assert splits.info.kind == "image"
    assert splits.info.class_names == CLASSES
    found = np.concatenate([numbers(part) for part in (splits.train, splits.val, splits.test)])
    assert sorted(found) == [*range(60)]
    for part in (splits.train, splits.val, splits.test):
        assert part.y.tolist() == [number % 2 for number in numbers(part)]
        assert part.names.tolist() == [f"photos/{number}.png" for number in numbers(part)]
    assert splits.info.reading == {"path_column": "path", "label_column": "label"}
    # From the cache, the same again; after a change of the table it is other data.
    assert load(pets).info == splits.info
    pets.write_text(pets.read_text().replace("59.png,bee", "59.png,ant"))
    assert load(pets).info.fingerprint != splits.info.fingerprint


def test_groups_of_a_column_stay_together(pets):
    rows = [[f"photos/{n}.png", CLASSES[n % 2], f"pet {n // 4}"] for n in range(60)]
    splits = load(table(pets, rows), group_column="site")
    parts = [{*(numbers(part) // 4)} for part in (splits.train, splits.val, splits.test)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


def test_the_latest_images_are_tested_on(pets):
    rows = [[f"photos/{n}.png", CLASSES[n % 2], f"2024-01-{31 - n // 2:02}"] for n in range(60)]
    splits = load(table(pets, rows), time_column="site")
    # The first picture is the latest; two are of one day.
    assert sorted(numbers(splits.test)) == [*range(10)]
    assert max(numbers(splits.val)) < min(numbers(splits.train))
    assert splits.test.times.min() > splits.val.times.max()


def test_train_csv_and_test_csv_of_a_folder(pets):
    rows = [[f"photos/{n}.png", CLASSES[n % 2]] for n in range(60)]
    table(pets.parent / "train.csv", rows[:50], ("Path", "label"), delimiter="\t")
    test = table(pets.parent / "test.csv", rows[50:], ("path", "label"))
    splits = load(pets.parent)
    assert numbers(splits.test).tolist() == [*range(50, 60)]
    table(test, [row[:1] for row in rows[50:]], ("path",))
    with pytest.raises(
        RecipeError, match=r"test\.csv without labels is for `recipes predict`: .*tra"
    ):
        load(pets.parent)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("photos/7.png", "photos/7.png"),
        ("photos\\7.png", "photos/7.png"),
        ("./photos/7.png", "photos/7.png"),
        ("7.png", "photos/7.png"),
        ("7", "photos/7.png"),
        ("photos/7", "photos/7.png"),
        ("8.x", "photos/8.x.JPG"),
        ("inner/8", "photos/inner/8.jpg"),
        ("other/7.png", None),  # Perhaps another picture of the same name.
        ("/elsewhere/photos/7.png", None),
        ("hidden", None),
        ("note", None),
        ("..", None),
        ("", None),
    ],
)
def test_what_a_csv_may_call_a_file(tmp_path, written, found):
    for name in ("7.png", "8.x.JPG", "inner/8.jpg", ".hidden.png", "note.txt"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    paths = locate(tmp_path / "a.csv", [written], IMAGES.suffixes())
    assert paths == [found and tmp_path / found]


def test_a_name_of_two_files_is_asked_about(tmp_path):
    for name in ("a/1.png", "b/1.jpg"):
        picture(tmp_path / name, 0)
    with pytest.raises(RecipeError, match="'1' may be a/1.png or b/1.jpg; write paths from"):
        locate(tmp_path / "a.csv", ["1"], IMAGES.suffixes())
    assert locate(tmp_path / "a.csv", ["b/1"], IMAGES.suffixes()) == [tmp_path / "b/1.jpg"]


def test_files_that_are_absent_are_told_and_more_than_a_tenth_are_refused(pets):
    for number in range(6):
        (pets.parent / "photos" / f"{number}.png").unlink()
    arrays = listed({"train": pets}, IMAGES, Reading(group_column="site"))
    assert len(arrays.train) == len(arrays.groups) == len(arrays.names) == 54
    assert arrays.names[0] == "line 8"
    said = "rows left out: 6 of 60 files are not there, the first is 'photos/0.png'"
    assert any(said in line for line in arrays.remarks)
    (pets.parent / "photos" / "6.png").unlink()
    with pytest.raises(
        RecipeError, match="7 of 60 files are not there.*expected paths from the folder of"
    ):
        load(pets)


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        ({"text_column": "path"}, "--text-column is for CSV files of texts"),
        ({"group_folders": True}, "--group-folders is for folders of images"),
    ],
)
def test_flags_of_other_data_are_refused(pets, reading, message):
    with pytest.raises(UsageError, match=message):
        load(pets, **reading)


def test_a_missing_column_is_named_with_its_flag(pets):
    table(pets, [["a", "b"]], ("file", "label"))
    with pytest.raises(
        RecipeError, match="reads images: .*found: file, label; name .* --path-column"
    ):
        load(pets)


def test_a_run_answers_about_the_files_of_a_csv_and_is_sliced_by_its_columns(
    pets, tmp_path, capsys
):
    run, _ = train_tiny("mnist_cnn", pets, tmp_path / "run", epochs=1)
    rows = [["7", 1], ["gone", 2], ["", 3], ["photos/8.png", 4]]
    new = table(pets.parent / "new.csv", rows, ["file", "id"])
    output = tmp_path / "answers.csv"
    words = [str(run.directory), str(new), "--path-column", "file", "--output", str(output)]
    assert main(["predict", *words]) == 1
    assert "no image at" in capsys.readouterr().err
    with output.open(newline="") as file:
        rows = [(row["name"], row["class"] in CLASSES) for row in csv.DictReader(file)]
    line = f"{new}, line 4"
    assert rows == [("7", True), ("gone", False), (line, False), ("photos/8.png", True)]
    assert main(["evaluate", str(run.directory), "--slice", "site"]) == 0
    printed = capsys.readouterr().out
    assert "Test split by site" in printed
    assert "east" in printed
    assert "west" in printed
    assert main(["evaluate", str(run.directory), "--slice", "sites"]) == 1
    assert "did you mean 'site'?" in capsys.readouterr().err


def test_columns_of_another_kind_of_model_are_refused(pets):
    with pytest.raises(
        UsageError, match="--text-column is for models of texts, and .* reads images"
    ):
        Given([str(pets)], {"kind": "image"}, text_column="path")
    with pytest.raises(UsageError, match="--path-column is for models of files, and .* reads rows"):
        Given([str(pets)], {"kind": "table"}, path_column="path")
    (first, *_) = Given([str(pets)], {"kind": "image", "reading": {"path_column": "path"}})
    assert first == ("photos/0.png", str(pets.parent / "photos/0.png"))
