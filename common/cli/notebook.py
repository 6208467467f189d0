"""What the companion notebooks share: a quiet start, small trainings that are kept, and pictures.

A notebook explains, the recipe computes. The environment variable NOTEBOOK_DATA chooses the data:
"sample" (default, built in) or "full". Every notebook prints which it uses. NOTEBOOK_EPOCHS is the most
epochs that a training may have: for a first look, with figures that mean nothing. notebook_execution.py
runs notebooks and stores what they show.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.basics.errors import RecipeError
from common.basics.files import read_json
from common.basics.wording import duration
from common.runs import config as configuration
from common.runs import headline, registry
from common.runs.types import Config

if TYPE_CHECKING:
    import keras
    import numpy as np
    from matplotlib.figure import Figure

    from common.data.types import Splits
    from common.runs.run import Run

ROOT = Path(__file__).resolve().parents[2]
DRAWN_COLOURS = 2000
"""Colours that a drawing has at most, with the shades at the edges of its letters."""


@dataclasses.dataclass
class Trained:
    """A finished training: its run, model, data, metrics.json and a row of history.csv for each epoch."""

    run: Run
    model: keras.Model
    splits: Splits
    metrics: dict[str, Any]
    history: list[dict[str, str]]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Returns probabilities `(n, classes)` of model inputs."""
        from common.training.outputs import inference_batches, predict

        return predict(self.model, inference_batches(x))

    def column(self, name: str) -> list[float]:
        """Returns a column of the history, a value for each epoch."""
        return [float(row[name]) for row in self.history]


def start(minutes: str, full: str | None = "tens of minutes") -> str:
    """Starts Keras quietly and prints the backend, the device and the data of the notebook.

    Args:
        minutes: How long the notebook takes on two cores with the sample, e.g. "2 minutes".
        full: The same with the real data set; None: it always uses the sample.

    Returns:
        Which data to use: "sample" or "full".
    """
    import logging

    from common.basics import backend, processor

    name = backend.start()
    # TensorFlow warns about functions that are traced again. With several models they always are.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    import keras

    data = os.environ.get("NOTEBOOK_DATA", "sample") if full else "sample"
    devices = ", ".join(backend.accelerators()) or f"{processor.cpu_count()} CPU cores"
    text = "the real data set"
    if data == "sample":
        text = "built-in sample data"
        text += " (NOTEBOOK_DATA=full before Jupyter starts: the real set)" if full else ""
    print(
        f"Keras {keras.__version__} on {name}, {devices}; {text}. "
        f"About {minutes if data == 'sample' else full} on two cores."
    )
    return data


def kept(recipe: str, *what: Any) -> Path:
    """Returns the folder of a training that a notebook keeps, to find it again later.

    If the code of the recipe or the backend changes, it is another folder: what is found must be what
    would be trained now.

    Args:
        recipe: Name of the recipe.
        what: Identifies the training; values that JSON can hold.
    """
    files = sorted((registry.recipes_folder() / recipe).glob("*.py"))
    code = [file.read_text(encoding="utf-8") for file in files]
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    name = configuration.short_hash([what, backend, code])
    return ROOT / "runs" / "notebooks" / f"{recipe}-{name}"


def train(recipe: str, config: Config, data: str, quiet: bool = True) -> Trained:
    """Trains a recipe, or opens the same training if it has been done before.

    Args:
        recipe: Name of the recipe.
        config: Its Config.
        data: As for --data.
        quiet: Whether to hide the lines of the epochs.
    """
    import csv

    from common.runs.options import Options
    from common.runs.run import Run
    from common.training.loading import load_model

    module = registry.load(recipe)
    most = os.environ.get("NOTEBOOK_EPOCHS")
    if most:
        config = dataclasses.replace(config, epochs=min(config.epochs, int(most)))
    folder = kept(recipe, configuration.to_dict(config), data)
    run = Run(recipe, config, Options(data=data, run_dir=folder, report=False), "custom")
    if not run.finished:
        run.open()
        with contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext():
            module.train(config, run)
    metrics = read_json(run.path("metrics.json"), "metrics")
    seconds = read_json(run.path("timing.json"), "timing")["train_wall_seconds"]
    with run.path("history.csv").open() as file:
        history = list(csv.DictReader(file))
    found = headline.of(metrics)
    print(
        f"{recipe}: {metrics['epochs']} epochs, {found.name} on validation "
        f"{found.shown(found.validation)}, on test {found.shown(found.value)}; "
        f"{metrics['data']['label']} (trained in {duration(seconds)})"
    )
    splits = run.load(module.load_data)
    return Trained(run, load_model(run.path("best.keras")), splits, metrics, history)


def command(*words: object) -> None:
    """Runs `recipes WORDS...` and prints what it prints, without the project's path.

    Raises:
        RecipeError: Its exit code is not 0.
    """
    from common.cli import main

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main([str(word) for word in words])
    print(printed.getvalue().replace(f"{ROOT}{os.sep}", ""))
    if code:
        raise RecipeError(f"recipes {' '.join(map(str, words))} ended with exit code {code}")


def show(picture: Figure | bytes, alt: str | None = None) -> None:
    """Shows a matplotlib figure, or the bytes of a PNG file, in the notebook.

    Args:
        picture: The figure.
        alt: What it shows, for those who cannot see it (default: the figure's title).
    """
    import PIL.Image
    from IPython.display import Image, display

    from common.report.drawing import to_png

    content = picture if isinstance(picture, bytes) else to_png(picture)
    with PIL.Image.open(io.BytesIO(content)) as opened:
        alt = alt or opened.info.get("Description")
        # The figures have 150 pixels per inch, the page 96.
        width = int(opened.width * 96 / 150)
        whole = opened.convert("RGB")
        # Lines and letters look the same with 256 colours, in a third of the bytes. Photographs do not.
        if whole.getcolors(DRAWN_COLOURS) is not None:
            smaller = io.BytesIO()
            whole.quantize(256, dither=PIL.Image.Dither.NONE).save(smaller, "png", optimize=True)
            content = smaller.getvalue()
    display(Image(content, width=min(width, 900), alt=alt))


def study(recipe: str, title: str) -> dict[str, Any] | None:
    """Shows a recorded study: its picture, its answer, and what it says of each claim.

    Args:
        recipe: Name of the recipe.
        title: Name of the study.

    Returns:
        What was recorded, an entry of studies.json; None, said in a line, if nothing was.
    """
    from common.studies import claims, study_picture, study_record
    from common.studies.study import find

    asked, found = find(recipe, title), study_record.read(recipe).get(title)
    if found is None:
        print(f"{asked.question} Not run yet: recipes study {recipe} {title} --record")
        return None
    show(study_picture.draw(found), alt=f"{asked.question} {found['answer']}")
    print(f"{asked.question} {found['answer']}")
    for claim in asked.claims:
        print(f'"{claim.words}" ({claim.article}): {claims.verdict(found, claim)}')
    return found


def panels(rows: int, columns: int, title: str, size: float = 1.5) -> tuple[Figure, np.ndarray]:
    """Returns a figure for small pictures, and its axes without frames `(rows, columns)`.

    Args:
        rows: Number of rows.
        columns: Number of columns.
        title: The finding, as a sentence.
        size: Side of a picture, in inches.
    """
    from matplotlib.figure import Figure

    from common.report.drawing import set_title

    figure = Figure(
        figsize=(max(size * columns, 4.0), size * rows + 0.6), dpi=150, layout="constrained"
    )
    set_title(figure, title)
    axes = figure.subplots(rows, columns, squeeze=False)
    for each in axes.flat:
        each.set_axis_off()
    return figure, axes


def lines(
    series: Mapping[str, Sequence[float]],
    xlabel: str,
    ylabel: str,
    title: str,
    x: Sequence[float] | None = None,
    marker: str | None = None,
) -> Figure:
    """Draws named curves in the look of the reports; in grey, lightness and dashes tell them apart.

    Args:
        series: Values of each curve by its name.
        xlabel: Label of the x axis.
        ylabel: Label of the y axis.
        title: The finding, as a sentence.
        x: x values of all curves (default: 1, 2, ...).
        marker: matplotlib marker of the points (default: none).
    """
    from matplotlib.ticker import MaxNLocator

    from common.report.drawing import FAINT, INK, new_axes
    from common.tuning.figures import STYLES

    figure, axes = new_axes(7.0, 3.6, xlabel, ylabel, title)
    if x is None:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for (name, values), (colour, style) in zip(series.items(), STYLES, strict=False):
        places = range(1, len(values) + 1) if x is None else x
        axes.plot(places, values, linestyle=style, color=colour, lw=1.9, label=name, marker=marker)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(fontsize=8, frameon=False, labelcolor=INK)
    return figure
