"""The report of a run: one HTML file a person would rather look at than read logs.

`report.html` holds everything it shows (styles, pictures), needs no script and no network, and can
be mailed or printed. The figures are also written as PNG files beside it.
"""

import base64
import csv
import shlex
from importlib import resources
from pathlib import Path

import numpy as np

from common import metrics, report_figures
from common.errors import RecipeError
from common.files import read_json, write_bytes_atomic, write_text_atomic

DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
MISTAKES_SHOWN = 24
CLASSES_SHOWN = 100
TEXT_HEAD, TEXT_TAIL = 320, 280  # characters; long reviews say what they mean at both ends
FIGURES = (
    "loss.png",
    "accuracy.png",
    "confusion.png",
    "reliability.png",
    "reliability_calibrated.png",
    "mistakes.png",
    *(f"explanation_{index}.png" for index in (1, 2, 3)),
)


def write_report(run_dir, splits=None, encode=None, explanations=None):
    """Writes `report.html` and `figures/*.png` into a run folder.

    What the folder lacks is left out of the report, and the section says why.

    Args:
        run_dir: Folder of a finished run; `metrics.json` must be there.
        splits: `common.data.Splits` of the run; gives the pictures or texts of the mistakes.
            None: the mistakes are listed without them.
        encode: Function from a batch of raw test examples (as in `splits.test.x`) to what is
            shown in their place: images (n, height, width[, channels]) or n strings, e.g. the
            part of a text that the model reads. Where it returns neither (token ids), and for
            None, the raw examples are shown.
        explanations: What `common.explanation.explain_examples` returns; None: no such section.

    Returns:
        Path of the report.

    Raises:
        RecipeError: The folder holds no finished run, a file in it is damaged, or the report
            cannot be written.
    """
    run_dir = Path(run_dir)
    if not (run_dir / "metrics.json").is_file():
        raise RecipeError(
            f"{run_dir} is not a finished run: it has no metrics.json. "
            "Run the same training command again to finish it, or name another folder."
        )
    summary = read_json(run_dir / "metrics.json", "metrics")
    environment = _optional_json(run_dir / "environment.json")
    config = _optional_json(run_dir / "config.json")
    timing = _optional_json(run_dir / "timing.json")
    history, history_problem = _read_history(run_dir / "history.csv")
    predictions, predictions_problem = read_predictions(run_dir / "predictions.npz")

    figures = {}
    page = {
        "recipe": summary.get("recipe", run_dir.parent.name),
        "preset": summary.get("preset"),
        "run": run_dir.name,
        "data": summary.get("data", {}),
        "headline": _headline(summary, timing),
        "baselines": _baselines(summary),
        "curves": _curves(history, summary.get("best_epoch"), figures),
        "curves_problem": history_problem,
        "predictions_problem": predictions_problem,
        "time": _time(timing, history),
        "timed": bool(timing),
        "config": {key: _plain(value) for key, value in (config.get("config") or {}).items()},
        "environment": _environment(environment),
        "versions": environment.get("versions") or {},
        "data_rows": _data_rows(summary.get("data", {}), environment.get("data") or {}),
        "command": _command(environment),
        "started": str(environment.get("started") or "")[:16].replace("T", " "),
    }
    if predictions is not None:
        page |= _from_predictions(predictions, summary, environment, splits, encode, figures)
    if explanations is not None:
        items, problem = explanations
        for index, item in enumerate(items):
            figures[f"explanation_{index + 1}.png"] = item["picture"]
        page["explanations"] = {"items": items, "problem": problem}

    page["figures"] = {name: _data_uri(content) for name, content in figures.items()}
    for name in FIGURES:
        if name in figures:
            write_bytes_atomic(run_dir / "figures" / name, figures[name])
        else:
            # A figure of an earlier report of this folder would show something that no longer is.
            (run_dir / "figures" / name).unlink(missing_ok=True)
    write_text_atomic(run_dir / "report.html", _render(page))
    return run_dir / "report.html"


def percent(value, digits=2):
    """Returns a fraction as text, e.g. "99.53 %"; a dash for None."""
    return DASH if value is None else f"{100 * value:.{digits}f} %"


def p_value(value):
    """Returns a p-value as text, e.g. "p = 0.03" or "p < 0.001"."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.{3 if value < 0.1 else 2}f}"


def duration(seconds):
    """Returns a time as text, e.g. "0.84 s", "3 min 20 s" or "2 h 05 min"."""
    if seconds is None:
        return DASH
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def read_predictions(path):
    """Reads `predictions.npz`.

    Returns:
        A dict of the four arrays (val_probabilities, val_labels, test_probabilities,
        test_labels) and None; or None and a sentence that says what is wrong with the file.
    """
    names = ("val_probabilities", "val_labels", "test_probabilities", "test_labels")
    if not Path(path).is_file():
        return None, "The run folder has no predictions.npz; evaluate the run to write it."
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in names}
        for part in ("val", "test"):
            metrics.check_probabilities(arrays[f"{part}_probabilities"], arrays[f"{part}_labels"])
    except Exception as error:  # np.load raises many kinds for a damaged archive
        return None, f"predictions.npz cannot be used ({error}); evaluate the run to write it anew."
    return arrays, None


def _optional_json(path):
    return read_json(path) if path.is_file() else {}


def _plain(value):
    return ", ".join(str(item) for item in value) if isinstance(value, (list, tuple)) else value


def _number(value):
    """Groups the digits of whole numbers and keeps the rest as text; a dash for None."""
    if value is None:
        return DASH
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _read_history(path):
    """Returns history.csv as a dict of float arrays (NaN where empty), or a reason."""
    if not path.is_file():
        return None, "The run folder has no history.csv."
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return None, "history.csv has no finished epoch."

    def value(text):
        try:
            return float(text)
        except (TypeError, ValueError):
            return np.nan

    columns = {name: np.array([value(row[name]) for row in rows]) for name in rows[0] if name}
    columns.setdefault("epoch", np.arange(1.0, len(rows) + 1))
    return columns, None


def _headline(summary, timing):
    """Returns the large number of the report and the small ones beside it."""
    test, validation = summary.get("test", {}), summary.get("validation", {})
    count = test.get("count", 0)
    # One example in 1,000 is 0.1 points; a second decimal would be noise below that.
    digits = 2 if count >= 1000 else 1
    interval = test.get("accuracy_interval")
    wrong = round((1 - test.get("accuracy", 0)) * count)
    epochs = summary.get("epochs")
    tiles = [
        ("validation accuracy", percent(validation.get("accuracy"), digits)),
        ("test loss, nats", _number(test.get("loss"))),
        ("chosen epoch", f"{summary.get('best_epoch', DASH)} of {_number(epochs)}"),
        ("parameters", _number(summary.get("parameters"))),
        ("seed", str(summary.get("seed", DASH))),
    ]
    if timing.get("train_wall_seconds") is not None:
        tiles.insert(4, ("training time", duration(timing["train_wall_seconds"])))
    return {
        "accuracy": percent(test.get("accuracy"), digits),
        "interval": [percent(end, digits) for end in interval] if interval else None,
        "wrong": wrong,
        "count": count,
        "validation_count": validation.get("count"),
        "tiles": tiles,
    }


def _baselines(summary):
    """Returns the rows of the baseline table, the model first, and a verdict on each."""
    rows, test = [], summary.get("test", {})
    given = summary.get("baselines") or []
    if not given or test.get("accuracy") is None:
        return rows
    rows.append(
        {
            "name": "this model",
            "accuracy": percent(test["accuracy"]),
            "interval": DASH.join(f"{100 * end:.2f}" for end in test["accuracy_interval"]),
            "count": test["count"],
            "difference": "",
            "verdict": "",
            "model": True,
        }
    )
    for baseline in given:
        count = baseline.get("count") or test["count"]
        ends = metrics.wilson_interval(round(baseline["accuracy"] * count), count)
        points = 100 * (test["accuracy"] - baseline["accuracy"])
        p = baseline.get("mcnemar_p")
        verdict = "no paired test"
        if p is not None:
            side = "model better" if points > 0 else "model worse" if points < 0 else "equal"
            verdict = f"{side if p < 0.05 else 'no clear difference'}, {p_value(p)}"
        rows.append(
            {
                "name": baseline["name"],
                "accuracy": percent(baseline["accuracy"]),
                "interval": DASH.join(f"{100 * end:.2f}" for end in ends),
                "count": count,
                "difference": f"{points:+.2f}".replace("-", MINUS),
                "verdict": verdict,
                "model": False,
            }
        )
    return rows


def _curves(history, best_epoch, figures):
    """Draws the learning curves; returns [{"figure", "alt"}] for those with data."""
    curves = []
    if history is None:
        return curves
    epochs = history["epoch"].astype(int)
    for name, best, label, is_percent in (
        ("loss", "lowest", "loss (nats per example)", False),
        ("accuracy", "highest", "accuracy (%)", True),
    ):
        train, validation = history.get(name), history.get(f"val_{name}")
        watched = validation if validation is not None else train
        if watched is None or not np.isfinite(watched).any():
            continue
        side = "Validation" if validation is not None else "Training"
        at = np.nanargmin(watched) if best == "lowest" else np.nanargmax(watched)
        value = percent(watched[at]) if is_percent else f"{watched[at]:.3g}"
        title = f"{side} {name} is {best} ({value}) at epoch {epochs[at]} of {epochs[-1]}"
        figures[f"{name}.png"] = report_figures.learning_curve(
            epochs, train, validation, best_epoch, title=title, ylabel=label, percent=is_percent
        )
        ends = [
            f"{part} from {values[0]:.4g} to {values[-1]:.4g}"
            for part, values in (("training", train), ("validation", validation))
            if values is not None
        ]
        alt = f"Line chart of {name} by epoch. {title}. First to last epoch: {'; '.join(ends)}."
        curves.append({"figure": f"{name}.png", "alt": alt})
    return curves


def _from_predictions(predictions, summary, environment, splits, encode, figures):
    """Returns the sections that need the predictions: confusion, classes, mistakes, calibration."""
    probabilities, labels = metrics.check_probabilities(
        predictions["test_probabilities"], predictions["test_labels"]
    )
    predicted = probabilities.argmax(axis=1)
    classes = probabilities.shape[1]
    names = list((environment.get("data") or {}).get("class_names") or ())
    if not names and splits is not None:
        names = list(splits.info.class_names)
    names = [str(name) for name in names[:classes]]
    names += [str(index) for index in range(len(names), classes)]
    matrix = metrics.confusion_matrix(labels, predicted, classes)
    return {
        "confusion": _confusion(matrix, names, figures),
        "classes": _classes(matrix, names),
        "mistakes": _mistakes(probabilities, labels, names, splits, encode, figures),
        "calibration": _calibration(predictions, probabilities, labels, summary, figures),
        "majority": percent(matrix.sum(axis=1).max() / len(labels)),
        "majority_name": names[int(matrix.sum(axis=1).argmax())],
    }


def _confusion(matrix, names, figures):
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
    if top:
        first = top[0]
        title = (
            f"Most frequent: {report_figures.short(first['true'])} taken for "
            f"{report_figures.short(first['predicted'])}, "
            f"{first['count']:,} of {first['of']:,}"
        )
    else:
        title = "No mistake"
    figures["confusion.png"] = report_figures.confusion(matrix, names, title=title)
    alt = (
        f"Confusion matrix of {len(matrix)} classes, true class in rows. {title}. "
        f"{int(np.trace(matrix)):,} of {int(matrix.sum()):,} are on the diagonal."
    )
    return {"alt": alt, "top": top, "small": len(matrix) <= 4}


def _classes(matrix, names):
    """Returns the per-class rows, the lowest F1 first; classes without a score last."""
    rows = []
    for score in metrics.per_class_scores(matrix):
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


def _mistakes(probabilities, labels, names, splits, encode, figures):
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
            item["image"] = _data_uri(report_figures.thumbnail(raw[position]))
            # Magnify small pictures with hard pixels; let the browser smooth large ones.
            item["pixelated"] = max(np.shape(raw[position])[:2]) <= 48
        items.append(item)
    if items and "image" in items[0]:
        captions = [
            f"{report_figures.short(item['true'], 12)} → "
            f"{report_figures.short(item['predicted'], 12)}\n{item['probability']}"
            for item in items
        ]
        pictures = [report_figures.flat(image) for image in raw]
        figures["mistakes.png"] = report_figures.contact_sheet(pictures, captions)
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
        return None, "The data set was not at hand when this report was written."
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
    if encode is not None:
        encoded = list(encode(test.x[chosen]))
        # Token ids mean nothing to a reader; a text is replaced by a text only.
        if not isinstance(raw[0], str) or isinstance(encoded[0], str):
            raw = encoded
    return raw, None


def _trim(text):
    """Returns the head and tail of a text and the number of characters between them."""
    # Line breaks of web pages; everything else is shown as it is (and escaped by the template).
    for tag in ("<br />", "<br/>", "<br>"):
        text = text.replace(tag, " ")
    text = " ".join(text.split())
    # Cutting out a handful of characters would hide more than it saves.
    if len(text) < TEXT_HEAD + TEXT_TAIL + 60:
        return {"head": text, "hidden": 0, "tail": ""}
    # Cut between words, where there are spaces to cut at.
    head, tail = text[:TEXT_HEAD], text[-TEXT_TAIL:]
    head = head.rsplit(" ", 1)[0] if " " in head[TEXT_HEAD // 2 :] else head
    tail = tail.split(" ", 1)[1] if " " in tail[: TEXT_TAIL // 2] else tail
    return {"head": head, "hidden": len(text) - len(head) - len(tail), "tail": tail}


def _calibration(predictions, probabilities, labels, summary, figures):
    """Draws reliability before and after temperature scaling; returns what the text needs."""
    temperature = summary.get("test", {}).get("temperature")
    if temperature is None:
        temperature = metrics.fit_temperature(
            predictions["val_probabilities"], predictions["val_labels"]
        )
    calibrated = metrics.apply_temperature(probabilities, temperature)
    result = {"temperature": f"{temperature:.3g}", "figures": []}
    # Two classes: the top probability is at least one half, so half the axis would be empty.
    shown_from = 0.5 if probabilities.shape[1] == 2 else 0.0
    for name, title, values in (
        ("reliability.png", "As trained", probabilities),
        ("reliability_calibrated.png", f"Temperature {temperature:.3g}", calibrated),
    ):
        table = metrics.reliability_bins(values, labels)
        error = metrics.expected_calibration_error(values, labels)
        loss = metrics.log_loss(values, labels)
        full_title = f"{title}: calibration error {percent(error)}"
        figures[name] = report_figures.reliability(table, title=full_title, shown_from=shown_from)
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
    return result


def _time(timing, history):
    """Returns rows of (what, value) for the section on time."""
    rows = []
    wall, cpu = timing.get("train_wall_seconds"), timing.get("train_cpu_seconds")
    if wall is not None:
        rows.append(("training, wall clock", duration(wall)))
    if cpu is not None:
        busy = f" ({cpu / wall:.1f} cores busy on average)" if wall else ""
        rows.append(("training, CPU time", duration(cpu) + busy))
    if history is not None and "seconds" in history:
        seconds = history["seconds"][np.isfinite(history["seconds"])]
        if len(seconds):
            rows.append(("first epoch, with compilation", duration(float(seconds[0]))))
        if len(seconds) > 1:
            rows.append(("later epochs, median", duration(float(np.median(seconds[1:])))))
    if timing.get("examples_per_second") is not None:
        rows.append(("throughput", f"{timing['examples_per_second']:,.0f} examples per second"))
    if timing.get("precision") is not None:
        rows.append(("precision", timing["precision"]))
    if timing.get("evaluate_wall_seconds") is not None:
        rows.append(("evaluation, wall clock", duration(timing["evaluate_wall_seconds"])))
    return rows


def _environment(environment):
    """Returns rows of (what, value) on machine and software, without versions and data."""
    names = {
        "backend": "Keras backend",
        "python": "Python",
        "platform": "platform",
        "cpu": "processor",
        "cpu_count": "processors",
        "gpu": "GPU",
        "commit": "commit",
        "seed": "seed",
        "started": "started",
    }
    rows = [
        (label, _plain(environment[key]) if environment[key] not in (None, "", []) else "none")
        for key, label in names.items()
        if key in environment
    ]
    skipped = {"versions", "data", "command", *names}
    return rows + [
        (key.replace("_", " "), _plain(value))
        for key, value in environment.items()
        if key not in skipped and not isinstance(value, dict)
    ]


def _data_rows(data, info):
    """Returns rows of (what, value) on the data set; `info` is the fuller record of the two."""
    merged = {**data, **{key: value for key, value in info.items() if value is not None}}
    rows = [
        (key, merged[key])
        for key in ("label", "name", "version", "source", "fingerprint")
        if merged.get(key)
    ]
    counts = merged.get("counts") or {}
    if counts:
        rows.append(("examples", ", ".join(f"{name} {_number(n)}" for name, n in counts.items())))
    if merged.get("class_names"):
        listed = [str(name) for name in merged["class_names"]]
        more = f" and {len(listed) - 20} more" if len(listed) > 20 else ""
        rows.append((f"{len(listed)} classes", ", ".join(listed[:20]) + more))
    return rows


def _command(environment):
    command = environment.get("command")
    return shlex.join(map(str, command)) if isinstance(command, (list, tuple)) else command


def _data_uri(png):
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _render(page):
    """Fills the packaged template; everything is escaped."""
    import jinja2

    def load(name):
        source = resources.files("common").joinpath("templates", name)
        return source.read_text(encoding="utf-8") if source.is_file() else None

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(load),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["grouped"] = _number
    for section in ("confusion", "classes", "mistakes", "calibration", "majority", "majority_name"):
        page.setdefault(section, None)
    return environment.get_template("report.html").render(page)
