"""What an exported model needs to be used without this project: labels.json, vocabulary, predict.py.

A model alone is a function of arrays. How a photograph becomes an array decides the answer as much as
the weights do: with another resize filter or tokeniser, the same file gives other probabilities without
any error. labels.json describes the preparation, in the metadata of the exported file and beside it.
predict.py does it, for the format of the export. A second format in a folder gets its own script, e.g.
predict_onnx.py.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.basics.errors import RecipeError, UsageError
from common.basics.files import write_text_atomic
from common.export.probes import output_names

if TYPE_CHECKING:
    import keras

    from common.runs.run import Run

SCRIPT = "predict.py"
# A file of one of these names was written by an export if it holds the pattern.
_MARKS = {
    "labels.json": r'"prepare"|"inputs"',
    "vocabulary.json": r'"max_tokens"',
    SCRIPT: r"s with an exported [\w ]+: python \w+\.py MODEL FILE\.\.\.",
}
# Format to its name in words, and the packages that its script needs.
_RUNTIMES = {
    "savedmodel": ("SavedModel", "tensorflow"),
    "onnx": ("ONNX model", "onnxruntime"),
    "litert": ("LiteRT model", "ai-edge-litert or tensorflow"),
    "keras": ("Keras model", "keras with its backend"),
}


@dataclasses.dataclass(frozen=True)
class Package:
    """The files that belong to every export of a model; the exports in one folder share them."""

    texts: dict[str, str]
    """Content of each file by its name."""
    home: Path
    """The run folder. Other files of these names there come from an older version of this project."""
    format: str = "savedmodel"
    """What the script runs; see `FORMATS` of conversion.py."""

    def embedded(self) -> dict[str, str]:
        """Returns the texts that also go into the exported file."""
        return {name: text for name, text in self.texts.items() if name != SCRIPT}

    def check(self, output: Path, overwrite: bool) -> None:
        """Checks that the files can be written beside an export without harm to what is there.

        Args:
            output: Path of the export.
            overwrite: Whether files of an earlier export may be replaced.

        Raises:
            UsageError: A file there has other content, and no export wrote it, or it describes another
                model.
        """
        folder = output.parent
        at_home = folder.exists() and folder.samefile(self.home)
        for path, text in self._files(output):
            name = SCRIPT if path.suffix == ".py" else path.name
            if not path.exists() or _content(path) == text:
                continue
            if not _written_by_an_export(path, name):
                raise UsageError(
                    f"{path} was not written by an export; move it away, or choose another folder "
                    "for --output"
                )
            # The script depends on the model only through labels.json, which is checked here too.
            if at_home or name == SCRIPT:
                continue
            others = sorted(each.name for each in folder.iterdir() if _relies(each, output))
            if others:
                raise UsageError(
                    f"{path} describes another model, which {others[0]} there relies on; choose "
                    "another folder for --output"
                )
            if not overwrite:
                raise UsageError(
                    f"{path} describes another model; choose another folder for --output, or "
                    "--overwrite to replace it"
                )

    def write(self, output: Path) -> tuple[Path, ...]:
        """Writes the files beside an export; returns their paths.

        Raises:
            RecipeError: The disk is full, or the folder cannot be written.
        """
        files = sorted(self._files(output))
        for path, text in files:
            if not path.exists() or _content(path) != text:
                write_text_atomic(path, text)
        return tuple(path for path, _ in files)

    def _files(self, output):
        """Returns the files beside `output` as pairs of path and content."""
        files = []
        for name, text in self.texts.items():
            path = output.parent / name
            if name == SCRIPT and self._is_of_another_format(path, output):
                path = path.with_name(f"predict_{self.format}.py")
                text = text.replace(f"python {SCRIPT}", f"python {path.name}")
            files.append((path, text))
        return files

    def _is_of_another_format(self, script, output):
        """Returns whether a script is that of another export in the folder."""
        if not script.exists() or not _written_by_an_export(script, SCRIPT):
            return False
        # The first line of the script names the kind of inputs and the format.
        same = _content(script).partition("\n")[0] == self.texts[SCRIPT].partition("\n")[0]
        return not same and any(
            _is_export(each) and each.name != output.name for each in script.parent.iterdir()
        )


def _written_by_an_export(path, name):
    """Returns whether a file looks like one of that name that an export wrote."""
    return re.search(_MARKS[name], _content(path)) is not None


def _is_export(path):
    return (
        path.suffix in (".onnx", ".tflite")
        or path.name == "model.keras"
        or (path / "saved_model.pb").exists()
    )


def _relies(path, output):
    """Returns whether a file beside an export needs the same labels.json."""
    return path.name != output.name and (_is_export(path) or path.name == "best.keras")


def _content(path):
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise RecipeError(f"cannot read {path}: {error.strerror or error}") from error


def describe(run: Run, model: keras.Model, format: str) -> Package:
    """Returns the files that belong to an export of a run's model.

    A classifier of images, texts or sound gets a script, and so does any model of rows of a table. Other
    models are described by their arrays alone: no script could prepare their inputs.

    Args:
        run: The finished run.
        model: Its model.
        format: One of `FORMATS` of conversion.py.

    Raises:
        RecipeError: environment.json or vocabulary.json of the run is absent or damaged.
    """
    data = run.data_info()
    numbers = data["kind"] == "table" and not data["class_names"]
    classes = data["kind"] in ("image", "text", "audio", "table") and data["class_names"]
    if not (classes or numbers):
        arrays = {
            "kind": data["kind"],
            "inputs": [_tensor(tensor, tensor.name) for tensor in model.inputs],
            "outputs": list(map(_tensor, model.outputs, output_names(model))),
        }
        return Package({"labels.json": json.dumps(arrays, indent=2) + "\n"}, run.directory, format)
    labels: dict[str, Any] = {
        "kind": data["kind"],
        **({"answer": data["reading"]["label_column"]} if numbers else {"classes": classes}),
        "input": _tensor(model.inputs[0], model.inputs[0].name),
        "output": _tensor(model.outputs[0], model.output_names[0]),
    }
    one = model.outputs[0].shape[-1] == 1
    meaning = f"probabilit{'y of the second class' if one else 'ies of the classes'}"
    if numbers:
        labels |= _intervals(run)
    labels["output"]["note"] = "the number to predict" if numbers else meaning
    texts = {}
    if data["kind"] == "audio":
        labels["prepare"] = _sound_preparation(data, model.inputs[0].shape)
    elif data["kind"] == "text":
        path = run.path("vocabulary.json")
        labels["prepare"] = _text_preparation(path)
        texts["vocabulary.json"] = path.read_text(encoding="utf-8")
    elif data["kind"] == "table":
        labels["prepare"] = _row_preparation(run.path("columns.json"), data["reading"])
    else:
        labels["prepare"] = _image_preparation(data, model.inputs[0].shape)
    texts["labels.json"] = json.dumps(labels, indent=2) + "\n"
    texts[SCRIPT] = _script(data["kind"], format, one, numbers)
    return Package(texts, run.directory, format)


def _intervals(run):
    """Returns the half-widths of the intervals around answers; none of a run without metrics."""
    from common.runs.finished import read_metrics

    test = read_metrics(run.directory)["test"] if run.finished else {}
    held = test.get("prediction_interval") or {}
    return {
        "edges": held.get("edges", []),
        "half_widths": held.get("half_widths", []),
        "half_widths_note": "nine times in ten the truth is at most so far from the answer; each counts "
        "for answers up to its edge, the last one for all above",
    }


def _tensor(tensor, name):
    return {"name": name, "shape": list(tensor.shape), "dtype": tensor.dtype}


def _image_preparation(data, shape):
    """Returns the steps of common/data/images.py for an image file, in their order."""
    _, height, width, channels = shape
    return {
        "orientation": "as the EXIF tag says",
        "value_range": (data.get("reading") or {}).get("value_range"),
        "value_range_note": "of images deeper than 8 bits: what becomes 0 and 255, linearly, "
        "rounded; null: the training images had 8 bits, deeper ones cannot be read",
        "transparency": "laid on white",
        "mode": "L" if channels == 1 else "RGB",
        "mode_note": "L: grey as (19595 R + 38470 G + 7471 B + 32768) >> 16 (ITU-R 601)",
        "height": height,
        "width": width,
        "filter": "BILINEAR",
        "filter_note": "Pillow's: the triangle widens with the scale (antialiasing); the aspect "
        "ratio is not kept",
        "values": [0, 255],
    }


def _sound_preparation(data, shape):
    """Returns the steps of common/data/audio.py for a WAV file, in their order."""
    return {
        "values": [-1, 1],
        "values_note": "full scale; whole numbers are divided by 2 ** (bits - 1), those of 8 bits after "
        "subtracting 128",
        "channels": "averaged",
        "rate": data["reading"]["rate"],
        "rate_note": "samples per second; other rates are converted by scipy.signal.resample_poly",
        "samples": shape[1],
        "samples_note": "shorter clips get zeros on both sides, an odd one at the end; longer clips are "
        "cut to the stretch with the most energy",
    }


def _row_preparation(path, reading):
    """Returns the steps of common/data/columns.py and table_encoder.py for a row, in their order."""
    from common.data.columns import MISSING, columns_of
    from common.data.table_encoder import UNKNOWN, TableEncoder

    encoder = TableEncoder.load(path)
    columns = {column.name: column for column in columns_of(reading)}
    written = ("decimal", "thousands", "unit", "date")
    numbers = [
        {**each, **{field: getattr(columns[each["name"]], field) for field in written}}
        for each in encoder.numbers
    ]
    return {
        "missing": sorted(MISSING),
        "missing_note": "cells that hold no value, in lower case and without spaces around them",
        "numbers": numbers,
        "numbers_note": "first in a row; a missing one is the median. In CSV files, decimal: the "
        "decimal mark; thousands: what stands between thousands; unit: what may stand before or behind "
        "the number; date: how dates are written; a date becomes the days since 1970, its time (UTC) a "
        "fraction. missing: whether 1 (missing) or 0 follows, after all numbers",
        "ranks": encoder.ranks,
        "ranks_note": "true: a number becomes its rank, interpolated between values; false: it becomes "
        "(number - mean) / scale",
        "categories": [
            {**each, "date": columns[each["name"]].date} if "part" in each else each
            for each in encoder.categories
        ],
        "categories_note": "last in a row; an id is the place among the values, from 1; a missing one is "
        "the value of no letters. part: the values are months from 1, weekdays from 0 (Monday) or hours "
        "of a date (UTC)",
        "unknown": UNKNOWN,
        "unknown_note": "id of any other value",
    }


def _text_preparation(path):
    """Returns the steps of common/data/tokens.py and text.py for a text, in their order."""
    from common.data import text

    encoder = text.TextEncoder.load(path)
    return {
        "patterns": {"tag": encoder.patterns.tag, "word": encoder.patterns.word},
        "patterns_note": "Python's re: where there is a '<', each tag becomes a space; then lower "
        "case, U+2019 becomes ', and the words are all matches",
        "max_tokens": encoder.max_tokens,
        "keep": encoder.keep,
        "keep_note": "which end of a longer text is kept; a shorter one is padded at its end",
        "padding": text.PADDING,
        "unknown": text.UNKNOWN,
        "unknown_note": "a word that is not in the vocabulary; also the only one of a text without "
        "words",
        "first_word": text.SPECIAL,
        "first_word_note": "id of the first of the words in vocabulary.json",
    }


def _script(kind, format, one, numbers=False):
    """Returns predict.py.

    Args:
        kind: Kind of the examples.
        format: What the script runs.
        one: Whether the output is one number.
        numbers: Whether it is the number to predict; else it is the probability of the second class.
    """
    import jinja2

    title, runtime = _RUNTIMES[format]
    more = {"image": "NumPy, Pillow", "audio": "NumPy, SciPy"}.get(kind, "NumPy")
    packages = f"{more} and {runtime}"

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("common.export"),
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("predict.py.jinja").render(
        kind=kind, format=format, one=one, numbers=numbers, title=title, packages=packages
    )
