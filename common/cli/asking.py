"""The commands that ask a finished run about files: predict and explain."""

from __future__ import annotations

from pathlib import Path

from common.basics import backend, streams
from common.basics.errors import RecipeError, UsageError
from common.basics.wording import printable
from common.cli.arguments import arguments_of
from common.cli.opened import open_run
from common.cli.train import encoder


def predict_command(words: list[str]) -> int:
    """Runs `recipes predict`; returns the exit code."""
    arguments = arguments_of(
        "predict",
        "Asks a run's best model about files: images, WAV files, text files or arrays, as the recipe "
        "needs. Files that cannot be read are named and make the exit code 1; all others are answered.",
        words,
        run=(Path, ..., "Run folder."),
        files=(
            tuple[str, ...],
            ...,
            "Files, folders of files, CSV files of texts or of paths, .npy files of arrays; '-' reads "
            "standard input.",
        ),
        output=(
            Path | None,
            None,
            "CSV file to write, with a row for each file.",
        ),
        text_column=(
            str | None,
            None,
            "Column of a CSV file that holds the texts (default: as in the run's data, else text).",
        ),
        path_column=(
            str | None,
            None,
            "Column of a CSV file that names images or sound (default: as in the run's data, else path).",
        ),
        support=(
            Path | None,
            None,
            "Of a few-shot recipe: a folder of class folders, each with one image or more, whose classes "
            "the files are told by.",
        ),
        top=(int, 3, "Classes to print per file."),
        json=(
            bool,
            False,
            "Print JSON with all outputs of the model.",
        ),
    )
    if not arguments.files:
        raise UsageError("recipes predict needs a file to classify after the run folder")
    if arguments.json and arguments.output:
        raise UsageError("--json prints the answers and --output writes them as CSV: give one")
    run, module = open_run(arguments.run)
    from common.data import inputs as prediction
    from common.tasks import answers

    answers.check_output(arguments.output, arguments.files)
    given = prediction.Given(
        arguments.files, run.data_info(), arguments.text_column, arguments.path_column
    )
    task = _with_support(module.TASK, run, arguments.support)
    backend.start_or_interrupt()
    answers.answer(
        task,
        run,
        encoder(module, run),
        given,
        output=arguments.output,
        as_json=arguments.json,
        top=arguments.top,
    )
    return 0


def _with_support(task, run, folder):
    """Returns the task that knows the classes of a folder, where it takes one.

    Raises:
        UsageError: It takes none and there is one, or the other way round.
    """
    takes = hasattr(task, "with_support")
    if folder is None and not takes:
        return task
    if folder is None:
        raise UsageError(
            f"{run.recipe} knows no classes of its own: add --support FOLDER, a folder of class folders "
            "with one image or more in each"
        )
    if not takes:
        raise UsageError(
            f"{run.recipe} answers with the classes that it was trained on: leave --support out"
        )
    from common.data.own_images import read_support

    value_range = (run.data_info().get("reading") or {}).get("value_range")
    images, labels, names = read_support(folder, *task.image_form, value_range)
    return task.with_support((images, labels), names, run.config)


def explain_command(words: list[str]) -> int:
    """Runs `recipes explain`; returns the exit code."""
    arguments = arguments_of(
        "explain",
        "Explains a run's answers and draws a picture for each file.\n\n"
        "For an image: the image; a heat map of what raises the class (HiResCAM, a Grad-CAM); "
        "integrated gradients, which say for each pixel whether it speaks for or against the class; and "
        "how the probability falls while the most marked pixels are removed, or random ones.\n\n"
        "For a text: a page with its words shaded for and against the class, the words with the "
        "largest weights, and how the probability falls while words are removed.\n\n"
        "Both are compared with the same network with random weights: an explanation that stays the "
        "same explains nothing.",
        words,
        run=(Path, ..., "Run folder."),
        files=(
            tuple[str, ...],
            ...,
            "Files, folders, CSV files of texts or of paths; '-' is standard input.",
        ),
        text_column=(str | None, None, "Column of a CSV file that holds the texts."),
        path_column=(str | None, None, "Column of a CSV file that names images."),
        label=(str | None, None, "Class to explain (default: the predicted one)."),
        output=(Path | None, None, "Folder for the pictures (default: RUN/explanations)."),
    )
    if not arguments.files:
        raise UsageError("recipes explain needs a file to explain after the run folder")
    run, module = open_run(arguments.run)
    from common.data import inputs as prediction

    if not module.TASK.explains:
        raise RecipeError(
            f"{run.recipe} has no explanation of its answers; `recipes predict` gives the answers, and "
            "the report shows what the task has"
        )
    label = arguments.label and printable(arguments.label)
    if label is not None:
        prediction.check_label(label, run.data_info()["class_names"])
    given = prediction.Given(
        arguments.files, run.data_info(), arguments.text_column, arguments.path_column
    )
    backend.start_or_interrupt()
    streams.goes_on("the explanation")
    encode = encoder(module, run)
    output = arguments.output or run.path("explanations")
    for lines in module.TASK.explain.explain_files(run, encode, given, label, output):
        print(lines, flush=True)
    return 0
