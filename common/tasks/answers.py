"""`recipes predict`: asks the model of a run, some files at a time, and writes its answers.

Thousands of files take one pass with the memory of one batch. A file that cannot be read does not stop
the others: it is named on standard error, and appears in the output without an answer.
"""

import csv
import itertools
import json
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from common.basics.errors import RecipeError, UsageError
from common.basics.files import atomic_path
from common.basics.wording import examples
from common.data import input_contents, table_rows
from common.data import inputs as prediction
from common.data.types import Arrays
from common.runs.finished import read_metrics
from common.runs.run import Run
from common.tasks.task import Task

IMAGES_AT_ONCE = 64
BYTES_AT_ONCE = 2**26
# Fewer texts than common/data/tokens.py caches: they would displace those that training needs.
TEXTS_AT_ONCE = 512


def check_output(output: Path | None, files: Sequence[str]) -> None:
    """Checks the file for the answers, before anything slow begins.

    Args:
        output: Path of a CSV file; None: none is written.
        files: The inputs, as the user gave them.

    Raises:
        UsageError: The path is a folder, does not end in .csv, or is one of `files`.
    """
    if output is None:
        return
    if output.suffix.lower() != ".csv" or output.is_dir():
        raise UsageError(
            f"--output writes a CSV file: expected a name ending in .csv, got {output}"
        )
    if output.exists() and any(
        file != "-" and Path(file).exists() and output.samefile(file) for file in files
    ):
        raise UsageError(f"--output {output} would replace an input file; name another file")


def answer(
    task: Task,
    run: Run,
    encode: Callable[[Any], Arrays],
    given: prediction.Given,
    *,
    output: Path | None = None,
    as_json: bool = False,
    top: int = 3,
) -> None:
    """Asks the best model of a run about the inputs and writes its answers.

    Args:
        task: The recipe's TASK.
        run: A finished run.
        encode: The recipe's function from raw inputs to model inputs.
        given: The inputs.
        output: CSV file to write. None: standard output.
        as_json: Print JSON with the complete answers instead of lines.
        top: Number of possibilities in a line, e.g. of classes.

    Raises:
        RecipeError: Some inputs could not be read; all others have been answered and written.
    """
    from common.training.loading import load_model

    if given.skipped:
        files = "file was" if given.skipped == 1 else "files were"
        print(f"note: {given.skipped:,} other {files} skipped", file=sys.stderr)
    info = run.data_info()
    if run.finished:
        info = {**info, **task.remembered(read_metrics(run.directory))}
    writer = _Writer(task, info)
    failures: list[RecipeError] = []
    rows = _answers(given, *_reader(task, run, load_model(run.path("best.keras")), encode))
    rows = _watched(rows, given.count, f" {examples(info['kind'])}", failures)
    if output is not None:
        writer.to_csv(rows, output)
    elif as_json:
        writer.print_json(rows)
    else:
        writer.print_lines(rows, top)
    if len(failures) == given.count == 1:
        raise failures[0]
    if failures:
        raise RecipeError(
            f"{len(failures):,} of {given.count:,} inputs could not be read: they are named above and "
            "have no answer in the output; all others are answered"
        )


def _reader(task, run, model, encode):
    """Returns a function to read one source, one to ask about several, and how many those may be."""

    def ask(inputs):
        return task.answers(model, inputs)

    def ask_texts(values):
        texts = np.empty(len(values), dtype=object)
        texts[:] = values
        return ask(encode(texts))

    def ask_lines(values):
        # An empty line has an empty answer: lines of input and output stay side by side.
        asked = [value for value in values if value]
        found = iter(ask_texts(asked) if asked else ())
        return [next(found) if value else "" for value in values]

    data = run.data_info()
    if data["kind"] == "text":
        return input_contents.read_text, ask_texts, TEXTS_AT_ONCE
    if data["kind"] == "pair":
        return input_contents.read_line, ask_lines, TEXTS_AT_ONCE
    if data["kind"] == "audio":
        samples, rate = model.input_shape[1], data["reading"]["rate"]
        return (
            lambda source: input_contents.read_sound(source, samples, rate),
            lambda waves: ask(encode(np.stack(waves))),
            TEXTS_AT_ONCE,
        )
    if data["kind"] == "table":
        return table_rows.read_cells, lambda rows: ask(encode(np.stack(rows))), TEXTS_AT_ONCE
    if data["kind"] not in ("image", "task"):
        return input_contents.read_array, lambda rows: ask(encode(np.stack(rows))), TEXTS_AT_ONCE
    *image_size, channels = model.input_shape[1:]
    value_range = (data.get("reading") or {}).get("value_range")

    def read(source):
        return input_contents.read_image(source, tuple(image_size), channels, value_range)

    at_once = BYTES_AT_ONCE // int(np.prod(model.input_shape[1:]))
    return read, lambda values: ask(np.stack(values)), max(1, min(IMAGES_AT_ONCE, at_once))


def _answers(given, read, ask, at_once):
    """Yields the name of each input and the model's output, or the RecipeError of reading it."""

    def attempt(item):
        try:
            return read(item[1])
        except RecipeError as error:
            return error

    items = iter(given)
    # Threads help, because Pillow releases the interpreter lock while it decodes and resizes.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        while chunk := list(itertools.islice(items, at_once)):
            values = list(pool.map(attempt, chunk))
            readable = [value for value in values if not isinstance(value, RecipeError)]
            answered = iter(ask(readable) if readable else ())
            for (name, _), value in zip(chunk, values, strict=True):
                yield name, value if isinstance(value, RecipeError) else next(answered)


def _watched(rows, count, unit, failures):
    """Passes answers on, shows a progress bar on a terminal, and names and collects failures."""
    import tqdm

    # The bar appears only after a second.
    with tqdm.tqdm(total=count, unit=unit, disable=None, delay=1, leave=False) as bar:
        for name, answer in rows:
            if isinstance(answer, RecipeError):
                failures.append(answer)
                if count > 1:
                    _print(f"error: {answer}", sys.stderr)
            yield name, answer
            bar.update()


def _print(text, stream, end="\n"):
    """Prints without disturbing the progress bar. Invalid Unicode in a name is escaped."""
    import tqdm

    encoding = getattr(stream, "encoding", None) or "utf-8"
    with tqdm.tqdm.external_write_mode(stream):
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, end=end)


class _Writer:
    """Writes answers in the form that the task gives them; a RecipeError stands for a missing one."""

    def __init__(self, task, info):
        self.task, self.info = task, info

    def print_lines(self, rows, top):
        for name, answer in rows:
            text = "no answer"
            if not isinstance(answer, RecipeError):
                text = self.task.line(answer, self.info, top)
            _print(f"{name}: {text}" if self.task.named else text, sys.stdout)

    def print_json(self, rows):
        # The same text as json.dumps of the whole list, without holding the list in memory.
        before = "[\n"
        for name, answer in rows:
            if isinstance(answer, RecipeError):
                row = {"file": name, **self.task.record(None, self.info), "error": str(answer)}
            else:
                row = {"file": name, **self.task.record(answer, self.info)}
            _print(before + textwrap.indent(json.dumps(row, indent=2), "  "), sys.stdout, end="")
            before = ",\n"
        print("\n]")

    def to_csv(self, rows, output):
        with (
            atomic_path(output) as partial,
            # Invalid Unicode in a name must not make the file invalid.
            partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
        ):
            writer, columns = csv.writer(stream), self.task.columns(self.info)
            writer.writerow(["name", *columns])
            for name, answer in rows:
                unread = isinstance(answer, RecipeError)
                cells = [""] * len(columns) if unread else self.task.cells(answer, self.info)
                writer.writerow([name, *cells])
        print(f"Wrote {output}")
