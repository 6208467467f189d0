"""The console script `recipes`, also `python -m recipes` and every `recipes/<name>/train.py`.

Each command is a function of the remaining words that returns an exit code: 0 done, 1 a RecipeError
(data, files, divergence), 2 a usage error, 130 interrupted. Keras is imported inside the commands
that need it, after the command line has been checked.
"""

import dataclasses
import json
import os
import re
import shlex
import sys
from pathlib import Path

from common import budget, recorded, registry, streams
from common import config as configuration
from common.errors import RecipeError, UsageError, near_match
from common.passwords import hide
from common.wording import printable

BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}

USAGE = """\
Deep-learning recipes that a person can run, read, tune and trust.

usage: recipes COMMAND ...

  list                      every recipe, its presets and its measured result
  train NAME [flags]        train a recipe; the same run folder resumes (train NAME --help: all flags);
                            --seeds 5: five seeds, mean and deviation
  evaluate RUN              score a run's model again on its validation and test split
  predict RUN FILE...       classify files, folders of images, a CSV of texts ('-': standard input)
  explain RUN FILE...       what the answer rests on: heat maps, attributions, decisive words
  export RUN --format F     savedmodel, onnx or litert, checked against the model
  report RUN                write report.html again
  compare RUN RUN...        runs side by side, with tests; those of several seeds as one
  results NAME              train the presets over seeds and write results.json
  tune NAME [flags]         search hyperparameters; the same command continues (tune NAME --help)
  sweep NAME [flags]        compare search methods on one budget of epochs

Every command answers --help. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""


def main(argv=None):
    """Runs one command.

    Args:
        argv: Words after `recipes`; those of the process by default.

    Returns:
        The exit code.
    """
    return _guarded(_command, list(sys.argv[1:] if argv is None else argv))


def run_script(file, argv=None):
    """Trains the recipe whose `train.py` is `file`; what a recipe script calls.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    return _guarded(_train, [Path(file).resolve().parent.name, *words])


def tune_script(file, argv=None):
    """Searches hyperparameters of the recipe whose `tune.py` is `file`.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    return _guarded(_tune, [Path(file).resolve().parent.name, *words])


def _tune(words):
    if not _names_recipe("tune", words):
        return 0
    _check_backend(words)
    streams.goes_on("the search")
    from common.tuning import sweep

    return sweep.command(registry.check(words[0]), words[1:])


def _sweep(words):
    if not _names_recipe("sweep", words):
        return 0
    _check_backend(words)
    streams.goes_on("the comparison")
    from common.tuning import contest

    return contest.command(registry.check(words[0]), words[1:])


def _names_recipe(verb, words):
    """Returns whether a recipe comes first; where only help is asked for, prints it.

    Raises:
        UsageError: Flags come first.
    """
    if words and not words[0].startswith("-"):
        return True
    if words and words[0] not in ("-h", "--help"):
        raise UsageError(f"recipes {verb} needs the name of a recipe first (`recipes list`)")
    print(f"usage: recipes {verb} NAME [flags]\n\nNAME is one of:")
    for name in registry.names():
        print(f"  {name:<16} {registry.summary(name)}")
    print(f"\n`recipes {verb} NAME --help` shows the flags.")
    return False


def _guarded(function, words):
    """Runs a command; returns the exit code. An error is one line, with --debug a traceback."""
    streams.prepare()
    return streams.finish(_exit_code(function, words))


def _exit_code(function, words):
    debug = "--debug" in words
    try:
        return function(words) or 0
    except SystemExit as stop:  # tyro's --help
        return stop.code or 0
    except RecipeError as error:
        if debug:
            raise
        print(f"error: {hide(error)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except Exception as error:
        if debug:
            raise
        # Keras writes paragraphs, in colour.
        text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", hide(error)).split())
        hint = "--debug shows the traceback"
        if isinstance(error, ModuleNotFoundError):
            hint = (
                f"this is {sys.executable}; `make setup` installs what is needed into .venv; {hint}"
            )
        print(f"error: {type(error).__name__}: {text} ({hint})", file=sys.stderr)
        return 1


def _command(words):
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0
    commands = {
        "list": _list,
        "train": _train,
        "evaluate": _evaluate,
        "predict": _predict,
        "explain": _explain,
        "export": _export,
        "report": _report,
        "compare": _compare,
        "results": _results,
        "tune": _tune,
        "sweep": _sweep,
    }
    if words[0] not in commands:
        raise UsageError(
            f"unknown command '{words[0]}'{near_match(words[0], commands)} (`recipes --help`)"
        )
    return commands[words[0]](words[1:])


def _arguments(name, doc, words, **fields):
    """Parses `words` into an object; each field is `name=(type, default, help)`.

    A default of `...` makes a positional argument. A run folder, the first of them, may also be named by
    --run-dir, as it is where it is trained.
    """
    import typing

    import tyro

    positional, flags = [], []
    for field, (hint, default, text) in fields.items():
        if default is ...:
            if field in ("run", "runs"):
                words = _run_first(words)
                text = f"{text} Also: --run-dir RUN."
            many = typing.get_origin(hint) is tuple
            metavar = f"{field[:-1]} ..." if many else field
            settings = tyro.conf.arg(help=text, metavar=metavar.upper(), help_behavior_hint="")
            positional.append((field, tyro.conf.Positional[typing.Annotated[hint, settings]]))
        else:
            # Where it is None, the help says in words what that means.
            shown = "" if default is None else None
            settings = tyro.conf.arg(help=text, help_behavior_hint=shown)
            hint = typing.Annotated[hint, settings]
            flags.append((field, hint, dataclasses.field(default=default)))
    text = typing.Annotated[bool, tyro.conf.arg(help="Show tracebacks of errors.")]
    flags.append(("debug", text, dataclasses.field(default=False)))
    cls = dataclasses.make_dataclass(name.capitalize(), positional + flags)
    return configuration.parse(cls, words, prog=f"recipes {name}", description=doc)


def _run_first(words):
    """Returns words in which what follows each --run-dir comes first, as a run folder does."""
    runs, rest, words = [], [], iter(words)
    for word in words:
        name, equals, value = word.partition("=")
        if name.replace("_", "-") != "--run-dir":
            rest.append(word)
            continue
        value = value if equals else next(words, "")
        if not value or value.startswith("--"):
            raise UsageError("--run-dir needs a value, the run folder")
        runs.append(value)
    return [*runs, *rest]


def _list(words):
    arguments = _arguments("list", "Lists every recipe.", words, json=(bool, False, "Print JSON."))
    from common import results

    rows = []
    for name in registry.names():
        module = registry.load(name)
        rows.append(
            {
                "name": name,
                "summary": registry.summary(name),
                "presets": list(module.PRESETS),
                "results": results.summaries(name),
            }
        )
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    width = max(len(preset) for row in rows for preset in row["presets"])
    for row in rows:
        print(f"{row['name']:<16} {row['summary']}")
        for preset in row["presets"]:
            # Sample data is never measured.
            absent = "for --data sample" if preset == "sample" else "not measured yet"
            print(f"  --preset {preset:<{width}}  {row['results'].get(preset) or absent}")


def _train(words):
    if not _names_recipe("train", words):
        return 0
    from common import series
    from common.run import Run

    name, words = registry.check(words[0]), words[1:]
    module = registry.load(name)
    options, config = configuration.parse_recipe(
        module,
        words,
        series.TrainOptions,
        prog=f"recipes train {name}",
        description=(module.__doc__ or "").strip(),
    )
    if options.seeds > 1:
        _check_backend()
        return series.train(name, config, options, preset_name(module, config), words)
    run = Run(name, config, options, preset=preset_name(module, config))
    return train(module, run, configuration.given_fields(module.Config, words))


def preset_name(module, config):
    """Returns the name of the preset that a Config is, whatever its seed, or "custom"."""
    for name, value in module.PRESETS.items():
        if dataclasses.replace(value, seed=config.seed) == config:
            return name
    return "custom"


def train(module, run, given=()):
    """Trains a recipe in a run folder, prints the result and writes the report.

    Args:
        module: The recipe's `train` module.
        run: Run, not opened yet.
        given: Names of the Config fields that the user chose; the others may be fitted to own data.

    Returns:
        The exit code.
    """
    # The folder is touched last: neither a mistyped path nor a backend that does not start may cost
    # the run that --overwrite gives up. Data comes first, the backend takes seconds to start.
    _check_backend()
    streams.goes_on("the training")
    run.check()
    with streams.doing("Reading the data"):
        splits = run.load(module.load_data)
    from common.data import remarks

    remarks.show(splits.info)
    run.fit_to_data(module, given)
    # The process before ended while it wrote the report: that is all there is left to do.
    trained = run.lacks_report and not run.options.overwrite
    if trained:
        results = _finished_on(run, splits)
    _start_backend()
    try:
        if trained:
            print(f"{run.directory} is trained; its report is missing: writing it", flush=True)
        else:
            run.open()
            remark = run.options.config and recorded.remark(
                run.options.config, splits.info, run.options.data
            )
            if remark:
                print(remark)
            print(f"Training {run.recipe}, preset {run.preset}, in {run.directory}", flush=True)
            print(budget.describe(run, splits), flush=True)
            results = module.train(run.config, run)
        if run.options.report:
            _write_report(run, module, run.load(module.load_data))
    except KeyboardInterrupt:
        if run.finished:
            hint = f"The training is finished; for its report: {_report_command(run)}"
        else:
            hint = f"Finished epochs are kept; the same command continues, or: {run.command}"
        print(f"\nInterrupted. {hint}", file=sys.stderr)
        return 130
    from common import training

    print(training.finish_line(results, run))
    return 0


def _finished_on(run, splits):
    """Returns the metrics of a finished run.

    Raises:
        RecipeError: They are damaged, or the data is not what it was trained on.
    """
    from common.run import read_metrics

    metrics, trained = read_metrics(run.directory), run.data_info()["fingerprint"]
    if splits.info.fingerprint != trained:
        raise RecipeError(
            f"{splits.info.label} is not the data that {run.directory} was trained on (fingerprint "
            f"{trained} -> {splits.info.fingerprint}); name that with --data or --data-dir, or score "
            "the run on this with `recipes evaluate`"
        )
    return metrics


def _report_command(run):
    return shlex.join(["recipes", "report", str(run.directory)])


def _write_report(run, module, splits):
    from common.explanation import explain_examples
    from common.report import write_report

    explanations = explain_examples(run, _encoder(module, run), splits)
    return write_report(run.directory, splits, explanations=explanations)


def _check_backend(words=()):
    """Checks the name in KERAS_BACKEND, which Keras itself answers after seconds with a traceback.

    Args:
        words: Words of the command; with --help among them, nothing is checked.
    """
    name = _backend_name()
    if name not in BACKENDS and not {"-h", "--help"} & set(words):
        raise UsageError(
            f"KERAS_BACKEND is '{name}'{near_match(name, BACKENDS)} (there are: {', '.join(BACKENDS)})"
        )


def _backend_name():
    return os.environ.get("KERAS_BACKEND") or "tensorflow"


def announce_backend():
    """Says that the backend is being started, which takes seconds, unless it has been."""
    if "keras" not in sys.modules:
        streams.say(f"Starting {BACKENDS[_backend_name()]} ...")


def _start_backend():
    """Starts the backend; an interrupt ends the process at once.

    Raised as an exception inside the import of a native module, it has crashed the interpreter.
    Nothing has been written yet that would have to be tidied up.
    """
    import signal

    from common import backend

    announce_backend()
    # Not where interrupts are ignored, or belong to somebody else.
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        backend.start()
        return
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
    try:
        backend.start()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _open(path):
    """Returns a finished run and its recipe's module; the backend is started once all is checked."""
    from common.run import open_finished

    opened = open_finished(path)
    _check_backend()
    return opened


# Of the commands that read a run's data.
_DATA_FLAGS = {
    "data": (str | None, None, "Where the run's data is now, if it has moved: a path."),
    "data_dir": (Path | None, None, "Folder of TensorFlow Datasets."),
}


def _source(run, arguments):
    """Returns where a run's data is: where the flags say, else where it was."""
    from common.data import Source

    reading = run.source.reading
    # Found in the training images, where no flag gave it; other data is read alike.
    found = (run.data_info().get("reading") or {}).get("value_range")
    if found is not None and arguments.data:
        reading = dataclasses.replace(reading, value_range=tuple(found))
    return Source(
        data=arguments.data or run.source.data,
        data_dir=arguments.data_dir or run.source.data_dir,
        reading=reading,
    )


def _splits(run, module, arguments):
    """Returns the Splits of a run's data."""
    with streams.doing("Reading the data"):
        return module.load_data(run.config, _source(run, arguments))


def _encoder(module, run):
    """Returns the recipe's function from raw inputs to model inputs (the identity for images)."""
    encode = getattr(module, "encode", None)
    return (lambda x: encode(run, x)) if encode else (lambda x: x)


def _evaluate(words):
    arguments = _arguments(
        "evaluate",
        "Scores a run's best model on the validation and test split of its data, or on your own.",
        words,
        run=(Path, ..., "Run folder."),
        data=(str | None, None, "Other data with the same classes: a path (default: the run's)."),
        data_dir=_DATA_FLAGS["data_dir"],
        json=(bool, False, "Print JSON."),
    )
    run, module = _open(arguments.run)
    splits = _splits(run, module, arguments)
    trained = tuple(run.data_info()["class_names"])
    if splits.info.class_names != trained:
        raise RecipeError(
            f"the model knows the classes {', '.join(trained)}; "
            f"the data has {', '.join(splits.info.class_names)}"
        )
    _start_backend()
    from common import batches, metrics
    from common.loading import load_model

    model, encode = load_model(run.path("best.keras")), _encoder(module, run)
    outputs = batches.predict_splits(model, splits, encode)
    scores = metrics.summarise(**outputs)
    if arguments.json:
        print(json.dumps({"data": splits.info.to_dict(), **scores}, indent=2))
        return
    print(f"{run.directory} ({run.recipe}, {run.preset}) on {splits.info.label}")
    if splits.info.note:
        print(splits.info.note)
    for name, score in scores.items():
        interval = score.get("accuracy_interval")
        spread = f"  (95 % {interval[0]:.2%} to {interval[1]:.2%})" if interval else ""
        print(
            f"{name:<11} accuracy {score['accuracy']:.2%}{spread}  loss {score['loss']:.4f}  "
            f"ECE {score['ece']:.4f}  {score['count']:,} examples"
        )


def _predict(words):
    arguments = _arguments(
        "predict",
        "Classifies files with a run's best model: images, or text files, as the recipe needs. What "
        "cannot be read is named, everything else is answered, and the exit code is 1.",
        words,
        run=(Path, ..., "Run folder."),
        files=(
            tuple[str, ...],
            ...,
            "Files, folders of files, CSV files of texts; '-' reads standard input.",
        ),
        output=(Path | None, None, "CSV file to write: name, class, probabilities."),
        text_column=(
            str | None,
            None,
            "Column of a CSV file that holds the texts (default: as in the run's data, else text).",
        ),
        top=(int, 3, "Classes to print per file."),
        json=(bool, False, "Print JSON with the probabilities of all classes."),
    )
    if not arguments.files:
        raise UsageError("recipes predict needs a file to classify after the run folder")
    if arguments.json and arguments.output:
        raise UsageError("--json prints the answers and --output writes them as CSV: give one")
    run, module = _open(arguments.run)
    from common import prediction, prediction_output

    prediction_output.check_output(arguments.output, arguments.files)
    given = prediction.Given(arguments.files, run.data_info(), arguments.text_column)
    _start_backend()
    prediction_output.classify(
        run,
        _encoder(module, run),
        given,
        output=arguments.output,
        as_json=arguments.json,
        top=arguments.top,
    )


def _explain(words):
    arguments = _arguments(
        "explain",
        "Explains a run's answers and draws a picture for each file.\n\n"
        "Of an image: the image; a heat map of what raises the class (HiResCAM, a Grad-CAM); "
        "integrated gradients, pixel by pixel for and against it; and how the probability falls while "
        "the most marked pixels are removed, beside random ones.\n\n"
        "Of a text: a page with its words shaded for and against the class, the words that weigh "
        "most, and the same fall while words are removed.\n\n"
        "Both with a check against the same network with random weights: an explanation that stays "
        "the same explains nothing.",
        words,
        run=(Path, ..., "Run folder."),
        files=(tuple[str, ...], ..., "Files; '-' reads standard input."),
        label=(str | None, None, "Class to explain (default: the predicted one)."),
        output=(Path | None, None, "Folder for the pictures (default: RUN/explanations)."),
    )
    if not arguments.files:
        raise UsageError("recipes explain needs a file to explain after the run folder")
    run, module = _open(arguments.run)
    from common import prediction

    label = arguments.label and printable(arguments.label)
    if label is not None:
        prediction.check_label(label, run.data_info()["class_names"])
    prediction.check_files(arguments.files)
    _start_backend()
    from common import explanation

    streams.goes_on("the explanation")
    encode = _encoder(module, run)
    output = arguments.output or run.path("explanations")
    for lines in explanation.explain_files(run, encode, arguments.files, label, output):
        print(lines, flush=True)


def _export(words):
    arguments = _arguments(
        "export",
        "Exports a run's best model and checks it against the model on 100 test inputs.",
        words,
        run=(Path, ..., "Run folder."),
        format=(str, "savedmodel", "savedmodel, onnx or litert."),
        output=(Path | None, None, "Where to write (default: in the run folder)."),
        overwrite=(bool, False, "Replace an existing export."),
        **_DATA_FLAGS,
    )
    from common.export import FORMATS, check_output, default_output, export

    if arguments.format not in FORMATS:
        raise UsageError(
            f"unknown format '{arguments.format}'{near_match(arguments.format, FORMATS)} "
            f"(there are: {', '.join(FORMATS)})"
        )
    run, module = _open(arguments.run)
    output = arguments.output or default_output(run.directory, arguments.format)
    check_output(output, arguments.format, arguments.overwrite)
    splits = _splits(run, module, arguments)
    _start_backend()
    inputs = _encoder(module, run)(splits.test.x[:100])
    from common.export_package import describe

    result = export(
        run.path("best.keras"),
        arguments.format,
        output,
        inputs,
        overwrite=arguments.overwrite,
        describe=lambda model: describe(run, model),
    )
    names = ", ".join(path.name for path in result.beside)
    script = shlex.join(["python", str(result.path.with_name("predict.py")), str(result.path)])
    print(
        f"Wrote {result.path} ({result.format}, {result.bytes / 1e6:.2f} MB, exported by "
        f"{result.backend}). Largest difference of a probability from the model's on "
        f"{result.count} test inputs: {result.max_difference:.2e}. "
        f"Beside it: {names}. To use it without this project: {script} FILE..."
    )


def _report(words):
    arguments = _arguments(
        "report",
        "Writes a run's report.html again.",
        words,
        run=(Path, ..., "Run folder."),
        **_DATA_FLAGS,
    )
    from common.run import read_metrics

    run, module = _open(arguments.run)
    if not run.finished:
        raise RecipeError(
            f"{run.directory} is not finished (no metrics.json): finish it with `{run.command}`"
        )
    read_metrics(run.directory)
    splits = _splits(run, module, arguments)
    _finished_on(run, splits)
    _start_backend()
    path = _write_report(run, module, splits)
    print(f"Report: {Path(path).resolve()}")


def _compare(words):
    arguments = _arguments(
        "compare",
        "Prints runs side by side: scores, settings that differ, and tests. Runs that differ in the seed "
        "only are one row: mean, deviation, and a t test against the others; single runs are compared "
        "on the same test examples.",
        words,
        runs=(tuple[Path, ...], ..., "Run folders."),
    )
    if len(arguments.runs) < 2:
        raise UsageError("recipes compare needs two run folders or more")
    from common.compare import compare

    print(compare(arguments.runs))


def _results(words):
    from common import results

    streams.goes_on("the series of trainings")
    return results.command(words)
