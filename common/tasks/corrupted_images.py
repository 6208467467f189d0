"""How a classifier of images does on worse images: scores under corruption, and their section."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from common.basics.wording import number, percent
from common.data.corruptions import NAMES, SEVERITIES, corrupt
from common.data.types import Arrays, Split, Splits
from common.tasks.task import Section

if TYPE_CHECKING:
    import keras

EXAMPLES, FEWEST = 1000, 200
"""Test images that are corrupted: so many of up to 64 x 64 pixels, with fifteen corruptions a matter of
seconds; of larger ones fewer, in proportion, down to FEWEST. Always the same ones."""
SEED = 0
"""Of the choice of images and of the corruptions, whatever the seed of the training."""


def of_network(
    model: keras.Model, splits: Splits, encode: Callable[[Any], Arrays], severity: int = 3
) -> dict[str, Any]:
    """Scores a network on corrupted test images, and a linear model on pixels beside it.

    Args:
        model: Trained network.
        splits: Its data: images uint8 `(n, height, width, channels)`.
        encode: Turns images into model inputs.
        severity: One of `common.data.corruptions.SEVERITIES`.

    Returns:
        The result of `measure`.
    """
    from common.tasks.pixel_baselines import linear_model, pixel_model
    from common.training.outputs import inference_batches, predict

    def network(images):
        return predict(model, inference_batches(encode(images)))

    test = splits.test.take(chosen(splits.test.x))
    linear = dict([pixel_model(*linear_model(), splits, len(splits.info.class_names))])
    return measure(network, np.asarray(test.x), np.asarray(test.y), severity, beside=linear)


def chosen(images: np.ndarray) -> np.ndarray:
    """Returns the rows, sorted, of the test images that are corrupted.

    Args:
        images: All of them, `(n, height, width, channels)`.
    """
    count, height, width, _ = images.shape
    wanted = min(max(EXAMPLES * 64**2 // (height * width), FEWEST), EXAMPLES)
    return np.sort(np.random.default_rng(SEED).permutation(count)[:wanted])


def measure(
    answers: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
    severity: int = 3,
    *,
    beside: Mapping[str, Callable[[np.ndarray], np.ndarray]] | None = None,
) -> dict[str, Any]:
    """Scores a model on images as they are and under every corruption.

    Args:
        answers: Function from uint8 images `(n, height, width, channels)` to probabilities
            `(n, classes)`.
        images: The images.
        labels: Integers `(n,)`.
        severity: One of `common.data.corruptions.SEVERITIES`.
        beside: Other models by name, as `answers`.

    Returns:
        Plain numbers, rounded to 6 decimals: "severity", "seed", "examples"; "clean", "mean" over the
        corruptions and "worst" (with its "name"), each with "accuracy" and "ece"; "rows", a list with
        the same of every corruption; "beside", for each other model its "name" and the same entries.
    """
    others = dict(beside or {})
    models = {"": answers, **others}
    scores: dict[str, list[dict[str, Any]]] = {name: [] for name in models}
    # Each set of images is made once and scored by all models.
    for corruption in ("", *NAMES):
        worse = corrupt(images, corruption, severity, SEED) if corruption else images
        for name, model in models.items():
            scores[name].append({"name": corruption, **_score(model(worse), labels)})
    own, *rest = ({"name": name, **_summary(rows)} for name, rows in scores.items())
    own.pop("name")
    return {
        "severity": severity,
        "seed": SEED,
        "examples": len(images),
        **own,
        "beside": rest,
    }


def _score(probabilities, labels):
    from common.tasks import calibration, metrics

    return {
        "accuracy": metrics.accuracy(labels, probabilities.argmax(axis=1)),
        "ece": calibration.expected_calibration_error(probabilities, labels),
    }


def _summary(rows):
    """Returns clean, mean and worst of the scores of one model; the first row is of clean images."""
    rows = [{key: _rounded(value) for key, value in row.items()} for row in rows]
    clean, *rows = rows
    clean.pop("name")
    mean = {key: _rounded(np.mean([row[key] for row in rows])) for key in clean}
    return {
        "clean": clean,
        "mean": mean,
        "worst": min(rows, key=lambda row: row["accuracy"]),
        "rows": rows,
    }


def _rounded(value):
    return value if isinstance(value, str) else round(float(value), 6)


def lines(found: Mapping[str, Any]) -> list[str]:
    """Returns what `recipes evaluate` prints of the result of `measure`."""
    spread = f"{found['examples']:,} test images, severity {found['severity']} of {SEVERITIES[-1]}"
    width = max(map(len, NAMES))
    rows = [f"{len(found['rows'])} corruptions, {spread}:"]
    rows += [
        f"  {row['name'].replace('_', ' '):<{width}}  accuracy {percent(row['accuracy']):>7}  "
        f"ECE {row['ece']:.3f}"
        for row in [{"name": "none", **found["clean"]}, *found["rows"]]
    ]
    for model in [{"name": "this model", **found}, *found["beside"]]:
        worst = model["worst"]
        rows.append(
            f"{model['name']}: mean accuracy {percent(model['mean']['accuracy'])} (as they are "
            f"{percent(model['clean']['accuracy'])}), worst {percent(worst['accuracy'])} "
            f"({worst['name'].replace('_', ' ')}); mean ECE {model['mean']['ece']:.3f} "
            f"({model['clean']['ece']:.3f})"
        )
    return rows


def section(found: Mapping[str, Any], test: Split | None, figures: dict[str, bytes]) -> Section:
    """Returns the section of the report on corrupted images.

    Args:
        found: "corruptions" of metrics.json, the result of `measure`.
        test: The test split, to show an image; None: none is shown.
        figures: Receives the pictures: PNG bytes by file name.
    """
    from common.report.rendering import data_uri, render
    from common.tasks import drawing

    own = {"name": "this model", **found}
    models = [own, *found["beside"]]
    worst = found["worst"]
    title = (
        f"Worst: {worst['name'].replace('_', ' ')}, {percent(worst['accuracy'])}; mean "
        f"{percent(found['mean']['accuracy'])}, images as they are {percent(found['clean']['accuracy'])}"
    )
    figures["corruptions.png"] = drawing.corruptions(models, title)
    alt = f"Accuracy under each of {len(found['rows'])} corruptions. {title}."
    names = ["corruptions.png"]
    if test is not None:
        figures["corrupted.png"] = _examples(test, found)
        names.append("corrupted.png")
    page = {
        "found": found,
        "models": [_cells(model) for model in models],
        "rows": _table(models),
        "alt": alt,
        "shown": "corrupted.png" in names,
        "most_severe": SEVERITIES[-1],
        "examples": number(found["examples"]),
        "figures": {name: data_uri(figures[name]) for name in names},
    }
    html = render("corruptions.html", page, package="common.tasks")
    return Section("corruptions", "Does it hold on worse images?", html, "Corruption")


def _cells(model):
    """Returns the texts of one row of the summary."""
    worst = model["worst"]
    return {
        "name": model["name"],
        "clean": percent(model["clean"]["accuracy"]),
        "mean": percent(model["mean"]["accuracy"]),
        "worst": f"{percent(worst['accuracy'])} ({worst['name'].replace('_', ' ')})",
        "clean_ece": f"{model['clean']['ece']:.3f}",
        "mean_ece": f"{model['mean']['ece']:.3f}",
    }


def _table(models):
    """Returns a row of texts for each corruption, the worst for this model first."""
    rows = []
    for places in zip(*(model["rows"] for model in models), strict=True):
        own = places[0]
        others = [percent(row["accuracy"]) for row in places[1:]]
        cells = [percent(own["accuracy"]), f"{own['ece']:.3f}", *others]
        rows.append((own["accuracy"], {"name": own["name"].replace("_", " "), "cells": cells}))
    return [row for _, row in sorted(rows, key=lambda row: row[0])]


def _examples(test, found):
    """Returns a picture of one test image under every corruption."""
    from common.report import drawing, thumbnails

    index = int(chosen(test.x)[0])
    image = np.asarray(test.x[index : index + 1])
    pictures = [image[0]]
    pictures += [corrupt(image, name, found["severity"], found["seed"])[0] for name in NAMES]
    captions = ["as it is", *(name.replace("_", " ") for name in NAMES)]
    return thumbnails.contact_sheet([drawing.flat(each) for each in pictures], captions)
