"""The report of a run: complete, self-contained, escaped, and tolerant of missing files."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

from common.basics.errors import RecipeError
from common.report import drawing, thumbnails
from common.report import page as report
from common.tasks.classification import Classification
from common.tasks.summary import summarise

CLASS_NAMES = ("cat", "dog & <b>friend</b>", "frog")

TASK = Classification("image")


def write_run(
    folder,
    *,
    classes=3,
    source="full",
    mistakes=True,
    kind="image",
    class_names=CLASS_NAMES,
    **overrides,
):
    """Writes a run folder as training would; returns the test labels."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    arrays = {}
    for part, count in (("val", 53), ("test", 97)):
        labels = generator.integers(0, classes, count)
        logits = generator.normal(size=(count, classes))
        logits[np.arange(count), labels] += 1.5 if mistakes else 50.0
        exponentials = np.exp(logits)
        arrays[f"{part}_probabilities"] = (
            exponentials / exponentials.sum(axis=1, keepdims=True)
        ).astype(np.float32)
        arrays[f"{part}_labels"] = labels.astype(np.int32)
    np.savez(folder / "predictions.npz", **arrays)
    names = [*class_names, *(f"class {index}" for index in range(len(class_names), classes))][
        :classes
    ]
    data = {
        "source": source,
        "label": "CIFAR-10, JPEG copy",
        "name": "cifar10",
        "version": "3.0.2",
        "fingerprint": "ab12",
        "note": "Re-encoded as JPEG.",
    }
    summary = {
        "recipe": "cifar10_cnn",
        "preset": "best",
        "data": data,
        "seed": 3,
        "parameters": 12345,
        "epochs": 4,
        "best_epoch": 2,
        **summarise(*arrays.values()),
        "baselines": [],
        **overrides,
    }
    (folder / "metrics.json").write_text(json.dumps(summary))
    (folder / "config.json").write_text(
        json.dumps({"recipe": "cifar10_cnn", "preset": "best", "config": {"widths": [8, 16]}})
    )
    environment = {
        "python": "3.11",
        "accelerators": [],
        "versions": {"keras": "3.15.1"},
        "seed": 3,
        "command": ["python", "-m", "recipes.cifar10_cnn.train", "--name", "a b"],
        "data": {**data, "class_names": names, "kind": kind, "counts": {"train": 700, "test": 97}},
    }
    (folder / "environment.json").write_text(json.dumps(environment))
    (folder / "history.csv").write_text(
        "epoch,loss,accuracy,val_loss,val_accuracy,seconds\n"
        "1,1.0,0.5,0.9,0.55,9\n2,0.7,0.6,0.6,0.70,4\n3,0.5,0.7,nan,0.72,4\n4,0.4,0.8,0.8,,4\n"
    )
    (folder / "timing.json").write_text(
        json.dumps({"train_wall_seconds": 203.4, "train_cpu_seconds": 391.0})
    )
    return arrays["test_labels"]


def fake_splits(x, y):
    kind = "image" if np.ndim(x) == 4 else "text"
    return SimpleNamespace(
        test=SimpleNamespace(x=x, y=y), info=SimpleNamespace(class_names=CLASS_NAMES, kind=kind)
    )


@pytest.fixture
def quick_figures(monkeypatch):
    """Replaces the drawing, a second per report, where a test is about something else."""
    pixel = thumbnails.thumbnail(np.zeros((1, 1), np.uint8))
    for name in ("learning_curve", "confusion", "reliability"):
        monkeypatch.setattr(drawing, name, lambda *_, **__: pixel)
    monkeypatch.setattr(thumbnails, "contact_sheet", lambda *_, **__: pixel)


class Page(HTMLParser):
    """Collects what the checks need: tags, images, and the text a reader sees."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.images, self.text, self.hidden = [], [], "", 0
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.hidden += tag == "style"
        if tag == "img":
            self.images.append(dict(attributes))

    def handle_endtag(self, tag):
        self.hidden -= tag == "style"

    def handle_data(self, data):
        if not self.hidden:
            self.text += data


def test_report_is_complete_and_self_contained(tmp_path):
    from PIL import Image

    run = tmp_path / "cifar10_cnn" / "first"
    labels = write_run(run)
    images = np.random.default_rng(1).integers(0, 256, (97, 12, 10, 3), dtype=np.uint8)
    items = [
        {
            "title": f"Test no. {index}: cat, truly dog",
            "picture": thumbnails.thumbnail(images[index]),
            "text": "Whiskers weigh most.",
        }
        for index in range(3)
    ]
    path = report.write_report(TASK, run, fake_splits(images, labels), explanations=(items, None))
    assert path == run / "report.html"
    assert path.read_text(encoding="utf-8").count("Whiskers weigh most.") == 6  # text and alt
    page = Page(path)
    summary = json.loads((run / "metrics.json").read_text())
    assert f"{100 * summary['test']['accuracy']:.1f} %" in page.text
    assert "95 % interval" in page.text
    assert re.search(r"accelerators\s*none", page.text)
    assert "12,345" in page.text
    assert "2 of 4" in page.text
    assert "Re-encoded as JPEG." in page.text
    assert "python -m recipes.cifar10_cnn.train --name 'a b'" in page.text
    assert "3 min 23 s" in page.text
    assert "widths" in page.text
    assert "3.15.1" in page.text
    assert "Sample data." not in page.text
    # Nothing is fetched, nothing runs, every image says what it shows.
    html = path.read_text(encoding="utf-8")
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert not re.search(r"(src|href)=\"(?!data:|#)", html)
    assert "url(" not in html
    assert page.images
    assert all(len(image["alt"]) > 20 for image in page.images)
    for image in page.images:
        content = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))
        Image.open(io.BytesIO(content)).verify()
    assert path.stat().st_size < 1_500_000
    figures = {file.name for file in (run / "figures").iterdir()}
    assert figures == {
        *("loss.png", "accuracy.png", "confusion.png", "mistakes.png"),
        *("reliability.png", "reliability_calibrated.png"),
        *(f"explanation_{index}.png" for index in (1, 2, 3)),
    }
    assert not list(run.rglob(".partial-*"))


@pytest.mark.usefixtures("quick_figures")
def test_the_most_confident_mistakes_come_first_with_their_own_picture(tmp_path):
    from PIL import Image

    run = tmp_path / "run"
    labels = write_run(run)
    # Each test image is one grey level, its own number.
    images = np.zeros((97, 5, 9, 1), np.uint8) + np.arange(97, dtype=np.uint8)[:, None, None, None]
    page = Page(report.write_report(TASK, run, fake_splits(images, labels)))
    shown = [image for image in page.images if image["alt"].startswith("Test image")]
    with np.load(run / "predictions.npz") as archive:
        probabilities = archive["test_probabilities"]
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    expected = sorted(wrong, key=lambda index: -probabilities[index].max())[:24]
    numbers = [int(re.match(r"Test image (\d+)", image["alt"])[1]) for image in shown]
    assert numbers == expected
    assert len(expected) > 5
    for number, image in zip(numbers, shown, strict=True):
        content = base64.b64decode(image["src"].split(",")[1])
        assert np.unique(np.asarray(Image.open(io.BytesIO(content)))).tolist() == [number]
        assert f"predicted {CLASS_NAMES[predicted[number]]}" in image["alt"]


@pytest.mark.usefixtures("quick_figures")
def test_class_names_and_texts_are_escaped_and_long_texts_trimmed(tmp_path):
    run = tmp_path / "run"
    labels = write_run(run, kind="text")
    texts = np.array(
        [
            f"<script>alert({index})</script> Head {index}.<br />"
            + "word " * 400
            + f"Tail {index}."
            for index in range(97)
        ],
        dtype=object,
    )
    path = report.write_report(TASK, run, fake_splits(texts, labels))
    html, page = path.read_text(encoding="utf-8"), Page(path)
    assert "<script>" not in html
    assert "<b>friend" not in html
    number = int(re.search(r"test no. (\d+)", page.text)[1])
    assert f"<script>alert({number})</script> Head {number}." in page.text
    assert f"Tail {number}." in page.text
    assert "characters left out" in page.text
    assert "mistakes.png" not in {file.name for file in (run / "figures").iterdir()}


@pytest.mark.usefixtures("quick_figures")
def test_encode_replaces_what_is_shown(tmp_path):
    run = tmp_path / "run"
    labels = write_run(run, kind="text")
    texts = np.array(["raw text"] * 97, dtype=object)
    encode = lambda batch: ["as the model reads it" for _ in batch]  # noqa: E731
    page = Page(report.write_report(TASK, run, fake_splits(texts, labels), encode=encode))
    assert "as the model reads it" in page.text
    assert "raw text" not in page.text
    token_ids = lambda batch: np.zeros((len(batch), 7), np.int32)  # noqa: E731
    page = Page(report.write_report(TASK, run, fake_splits(texts, labels), encode=token_ids))
    assert "raw text" in page.text


@pytest.mark.usefixtures("quick_figures")
def test_sample_data_is_loud(tmp_path):
    write_run(tmp_path / "run", source="sample")
    page = Page(report.write_report(TASK, tmp_path / "run"))
    assert "Sample data. These figures say nothing about the real task" in page.text


@pytest.mark.usefixtures("quick_figures")
def test_baselines_are_shown_with_their_paired_test(tmp_path):
    baselines = [
        {"name": "NBSVM", "accuracy": 0.99, "count": 97, "mcnemar_p": 0.00001},
        {"name": "majority class", "accuracy": 0.2, "count": 97},
    ]
    write_run(tmp_path / "run", baselines=baselines)
    page = Page(report.write_report(TASK, tmp_path / "run"))
    assert "model worse, p < 0.001" in page.text
    assert "no paired test" in page.text


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("predictions.npz", "has no predictions.npz"),
        ("timing.json", "no timing.json"),
        ("history.csv", "no history.csv"),
        ("environment.json", "no environment.json"),
        ("config.json", "no config.json"),
    ],
)
@pytest.mark.usefixtures("quick_figures")
def test_a_missing_file_is_said_and_the_rest_is_shown(tmp_path, missing, sentence):
    write_run(tmp_path / "run")
    (tmp_path / "run" / missing).unlink()
    page = Page(report.write_report(TASK, tmp_path / "run"))
    assert sentence in page.text
    assert "test accuracy" in page.text


@pytest.mark.usefixtures("quick_figures")
def test_a_damaged_predictions_file_is_said(tmp_path):
    run = tmp_path / "run"
    write_run(run)
    (run / "predictions.npz").write_bytes((run / "predictions.npz").read_bytes()[:200])
    page = Page(report.write_report(TASK, run))
    assert "predictions.npz cannot be used" in page.text
    assert not (run / "figures" / "confusion.png").exists()


@pytest.mark.usefixtures("quick_figures")
def test_pictures_of_another_test_split_are_not_shown(tmp_path):
    labels = write_run(tmp_path / "run")
    images = np.zeros((97, 4, 4, 1), np.uint8)
    page = Page(report.write_report(TASK, tmp_path / "run", fake_splits(images, labels[::-1])))
    assert "differ from those in predictions.npz" in page.text
    assert not any(image["alt"].startswith("Test image") for image in page.images)


def test_an_unfinished_run_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(RecipeError, match=r"not a finished run.*metrics\.json"):
        report.write_report(TASK, tmp_path / "run")


@pytest.mark.parametrize("classes", [2, 23, 100])
def test_other_numbers_of_classes(tmp_path, classes):
    """23 and 100 classes for 97 examples: some classes are absent from the test set."""
    run = tmp_path / "run"
    write_run(run, classes=classes)
    page = Page(report.write_report(TASK, run))
    assert "class 99" in page.text or classes < 100
    assert ("not in the test set" in page.text) == (classes > 2)


def test_a_run_without_mistakes(tmp_path):
    labels = write_run(tmp_path / "run", mistakes=False)
    images = np.zeros((97, 4, 4, 1), np.uint8)
    page = Page(report.write_report(TASK, tmp_path / "run", fake_splits(images, labels)))
    assert "all 97 test examples are predicted correctly" in page.text
    assert "100.0 %" in page.text


def test_ten_thousand_examples_take_a_few_cpu_seconds(tmp_path):

    run = tmp_path / "run"
    write_run(run)
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(10), 10_000).astype(np.float32)
    labels = generator.integers(0, 10, 10_000).astype(np.int32)
    np.savez(
        run / "predictions.npz",
        val_probabilities=probabilities[:4000],
        val_labels=labels[:4000],
        test_probabilities=probabilities,
        test_labels=labels,
    )
    images = generator.integers(0, 256, (10_000, 32, 32, 3), dtype=np.uint8)
    path = report.write_report(TASK, run, fake_splits(images, labels))
    assert path.stat().st_size < 1_500_000
