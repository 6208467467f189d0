"""The sections of a classifier's report: confusion, classes, mistakes, calibration."""

from collections.abc import Callable
from typing import Any

import numpy as np

from common.basics.errors import RecipeError
from common.basics.wording import DASH, percent, shorten
from common.data import audio
from common.data.columns import columns_of, in_words
from common.data.types import Splits
from common.report import drawing, lettering, thumbnails
from common.report.rendering import data_uri, render
from common.tasks import calibration
from common.tasks import metrics as scoring
from common.tasks.task import Section

MISTAKES_SHOWN = 24
CLASSES_SHOWN = 100
NAME_LENGTH = 80  # characters
NUMBERED_SHOWN = 40
TEXT_HEAD, TEXT_TAIL = 320, 280  # characters; both ends of a long review tell its opinion


def of_classes(
    outputs: dict[str, np.ndarray] | None,
    problem: str | None,
    *,
    metrics: dict[str, Any],
    info: dict[str, Any],
    splits: Splits | None,
    encode: Callable[[Any], Any] | None,
    figures: dict[str, bytes],
) -> list[Section]:
    """Returns the sections of a classifier's report; arguments as of `Task.sections`."""
    page: dict[str, Any] = {"problem": problem}
    if outputs is not None:
        page |= _from_outputs(outputs, metrics, info, splits, encode, figures)
        page["figures"] = {name: data_uri(content) for name, content in figures.items()}
    parts = (
        ("confusion", "What is taken for what", "Confusion"),
        ("classes", "Scores by class", "Classes"),
        ("mistakes", "The most confident mistakes", "Mistakes"),
        ("calibration", "Can its probabilities be believed?", "Calibration"),
    )
    return [
        Section(name, title, render(f"{name}.html", page, package="common.tasks"), link)
        for name, title, link in parts
    ]


def _from_outputs(outputs, metrics, info, splits, encode, figures):
    """Returns the values for the templates, and adds the figures."""
    probabilities, labels = scoring.check_probabilities(
        outputs["test_probabilities"], outputs["test_labels"]
    )
    predicted = probabilities.argmax(axis=1)
    classes = probabilities.shape[1]
    names = list(info.get("class_names") or ())
    if not names and splits is not None:
        names = list(splits.info.class_names)
    names = [shorten(name, NAME_LENGTH) for name in names[:classes]]
    names += [str(index) for index in range(len(names), classes)]
    drawn = lettering.names_to_draw(names)
    matrix = scoring.confusion_matrix(labels, predicted, classes)
    return {
        "numbered": _numbered(names, drawn),
        "confusion": _confusion(matrix, names, drawn, figures),
        "classes": _classes(matrix, names),
        "mistakes": _mistakes(probabilities, labels, names, drawn, splits, encode, figures),
        "calibration": _calibration(outputs, probabilities, labels, metrics, figures),
    }


def _numbered(names, drawn):
    """Returns a sentence on the numbers that stand for classes in pictures; None if names are drawn."""
    pairs = [
        f"{number} is {name}" for name, number in zip(names, drawn, strict=True) if name != number
    ]
    if not pairs:
        return None
    more = f", and so on for {len(pairs) - NUMBERED_SHOWN} more" if pairs[NUMBERED_SHOWN:] else ""
    return (
        "No font on the machine that wrote this report has all characters of these names, so pictures "
        f"number the classes: {', '.join(pairs[:NUMBERED_SHOWN])}{more}."
    )


def _confusion(matrix, names, drawn, figures):
    errors = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-errors, axis=None, kind="stable")[:8]
    pairs = [divmod(int(index), len(matrix)) for index in order if errors.flat[index] > 0]
    top = [
        {
            "true": names[row],
            "predicted": names[column],
            "count": int(errors[row, column]),
            "of": int(matrix[row].sum()),
        }
        for row, column in pairs
    ]

    def finding(names):
        if not pairs:
            return "No mistake"
        true, predicted = (shorten(names[index], 16) for index in pairs[0])
        return (
            f"Most frequent: {true} taken for {predicted}, {top[0]['count']:,} of {top[0]['of']:,}"
        )

    figures["confusion.png"] = drawing.confusion(matrix, drawn, title=finding(drawn))
    alt = (
        f"Confusion matrix of {len(matrix)} classes, true class in rows. {finding(names)}. "
        f"{int(np.trace(matrix)):,} of {int(matrix.sum()):,} are on the diagonal."
    )
    return {"alt": alt, "top": top, "small": len(matrix) <= 4}


def _classes(matrix, names):
    """Returns the per-class rows, by rising F1; classes without a score come last."""
    rows = []
    for score in scoring.per_class_scores(matrix):
        row = {"name": names[score["class"]], "support": score["support"], "f1": score["f1"]}
        row["f1_text"] = DASH if score["f1"] is None else f"{100 * score['f1']:.1f}"
        for kind in ("recall", "precision"):
            low, high = score[f"{kind}_interval"]
            value = score[kind]
            row[kind] = None if value is None else f"{100 * value:.1f}"
            interval = f"{100 * low:.1f}{DASH}{100 * high:.1f}"
            row[f"{kind}_interval"] = "" if value is None else interval
            row[f"{kind}_ends"] = (100 * low, 100 * high, 100 * (value or 0))
        rows.append(row)
    rows.sort(key=lambda row: (row["f1"] is None, row["f1"] if row["f1"] is not None else 0))
    # The bars share an axis that starts at a round number below the lowest interval.
    lows = [
        row[f"{kind}_ends"][0]
        for row in rows
        for kind in ("recall", "precision")
        if row[kind] is not None
    ]
    start = min(10 * np.floor(min(lows, default=0) / 10), 90)
    for row in rows:
        for kind in ("recall", "precision"):
            scaled = [round(100 * (end - start) / (100 - start), 1) for end in row[f"{kind}_ends"]]
            row[f"{kind}_bar"] = scaled
    return {"rows": rows[:CLASSES_SHOWN], "left_out": len(rows[CLASSES_SHOWN:]), "start": start}


def _mistakes(probabilities, labels, names, drawn, splits, encode, figures):
    """Returns the mistakes with the highest probability, with their pictures or texts."""
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    certainty = probabilities[wrong, predicted[wrong]]
    chosen = wrong[np.argsort(-certainty, kind="stable")[:MISTAKES_SHOWN]]
    raw, problem = _raw_examples(chosen, labels, splits, encode)
    items = []
    for position, index in enumerate(chosen):
        item = {
            "index": int(index),
            "true": names[labels[index]],
            "predicted": names[predicted[index]],
            "probability": _certainty(probabilities[index, predicted[index]]),
            "true_probability": _certainty(probabilities[index, labels[index]]),
        }
        if raw is not None and isinstance(raw[position], str):
            item |= _trim(raw[position])
        elif raw is not None:
            item["image"] = data_uri(thumbnails.thumbnail(raw[position]))
            # Magnify small pictures with hard pixels; let the browser smooth large ones.
            item["pixelated"] = max(np.shape(raw[position])[:2]) <= 48
        items.append(item)
    if items and "image" in items[0]:
        captions = [
            f"{drawing.short(drawn[labels[index]], 12)} → "
            f"{drawing.short(drawn[predicted[index]], 12)}\n{item['probability']}"
            for index, item in zip(chosen, items, strict=True)
        ]
        pictures = [drawing.flat(image) for image in raw]
        figures["mistakes.png"] = thumbnails.contact_sheet(pictures, captions)
    return {
        "list": items,
        "kind": "image" if items and "image" in items[0] else "text" if raw is not None else None,
        "problem": problem,
        "wrong": len(wrong),
        "count": len(labels),
        "certain": int(np.sum(certainty > 0.9)),
    }


def _certainty(probability):
    """A percentage that shows 100 % and 0 % only for exactly that."""
    if 0.9995 <= probability < 1:
        return "> 99.9 %"
    return "< 0.1 %" if 0 < probability < 0.0005 else f"{100 * probability:.1f} %"


def _raw_examples(chosen, labels, splits, encode):
    """Returns the raw (or encoded) test examples at `chosen`, or None and the reason."""
    if splits is None:
        return None, "The data set was not available when this report was written."
    try:
        test = splits.test
    except RecipeError as error:
        return None, f"The test split could not be read: {error}"
    if not np.array_equal(np.asarray(test.y), labels):
        return None, (
            "The labels of the test split differ from those in predictions.npz, "
            "so pictures or texts could belong to other examples and are left out."
        )
    if not len(chosen):
        return None, None
    raw = list(test.x[chosen])
    if splits.info.kind == "audio":
        return [audio.picture(wave) for wave in raw], None
    if splits.info.kind == "table":
        columns = columns_of(splits.info.reading)
        return [in_words(columns, row) for row in raw], None
    if encode is not None:
        encoded = list(encode(test.x[chosen]))
        # Token ids mean nothing to a reader; a text is replaced by a text only.
        if not isinstance(raw[0], str) or isinstance(encoded[0], str):
            raw = encoded
    return raw, None


def _trim(text):
    """Returns the head and tail of a text and the number of characters between them."""
    # Only line breaks of web pages are removed; the template escapes everything else.
    for tag in ("<br />", "<br/>", "<br>"):
        text = text.replace(tag, " ")
    text = " ".join(text.split())
    # Cutting out only a few characters would save no space.
    if len(text) < TEXT_HEAD + TEXT_TAIL + 60:
        return {"head": text, "hidden": 0, "tail": ""}
    # Cut between words, if there are spaces.
    head, tail = text[:TEXT_HEAD], text[-TEXT_TAIL:]
    head = head.rsplit(" ", 1)[0] if " " in head[TEXT_HEAD // 2 :] else head
    tail = tail.split(" ", 1)[1] if " " in tail[: TEXT_TAIL // 2] else tail
    return {"head": head, "hidden": len(text) - len(head) - len(tail), "tail": tail}


def _calibration(predictions, probabilities, labels, summary, figures):
    """Draws reliability before and after temperature scaling; returns the values for the template."""
    temperature = summary.get("test", {}).get("temperature")
    if temperature is None:
        temperature = calibration.fit_temperature(
            predictions["val_probabilities"], predictions["val_labels"]
        )
    calibrated = calibration.apply_temperature(probabilities, temperature)
    result = {"temperature": f"{temperature:.3g}", "figures": []}
    # With two classes the top probability is at least one half, so half of the axis would be empty.
    shown_from = 0.5 if probabilities.shape[1] == 2 else 0.0
    for name, title, values in (
        ("reliability.png", "As trained", probabilities),
        ("reliability_calibrated.png", f"Temperature {temperature:.3g}", calibrated),
    ):
        table = calibration.reliability_bins(values, labels)
        error = calibration.expected_calibration_error(values, labels)
        loss = scoring.log_loss(values, labels)
        full_title = f"{title}: calibration error {percent(error)}"
        figures[name] = drawing.reliability(table, title=full_title, shown_from=shown_from)
        filled = table["count"] > 0
        gap = np.average(
            (table["confidence"] - table["accuracy"])[filled], weights=table["count"][filled]
        )
        direction = "above" if gap > 0 else "below"
        alt = (
            f"Reliability diagram. {full_title}. On average, confidence is "
            f"{100 * abs(gap):.1f} points {direction} accuracy."
        )
        result["figures"].append({"figure": name, "alt": alt})
        key = "before" if name == "reliability.png" else "after"
        result[key] = {"ece": percent(error), "loss": f"{loss:.4f}", "error": error}
        if key == "before":
            result["confident"] = "overconfident" if gap > 0 else "underconfident"
            result["gap"] = f"{100 * abs(gap):.1f}"
    result["helps"] = result["after"]["error"] < result["before"]["error"]
    result["unchanged"] = temperature == 1.0
    result["at_bound"] = calibration.at_bound(temperature)
    return result
