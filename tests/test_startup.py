"""`--help`, `recipes list` and every usage error answer without importing Keras or a backend."""

import os
import subprocess
import sys

import pytest

from common.basics import backend
from common.basics.files import write_json_atomic
from common.cli import main
from common.runs import config as configuration
from common.runs import registry
from tests.answering import answer, answers
from tests.conftest import NO_NETWORK, ROOT

HEAVY = ("keras", "tensorflow", "jax", "torch", "sklearn", "matplotlib", "scipy", "PIL", "pandas")
FIRST = next(name for name in registry.names() if registry.load(name).TASK.kind == "image")


@pytest.fixture(scope="module")
def pool():
    with answers() as found:
        yield found


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 0),
        (["--help"], 0),
        (["list"], 0),
        (["list", "--json"], 0),
        (["train"], 0),
        *[(["train", name, "--help"], 0) for name in registry.names()],
        (["results", FIRST, "--help"], 0),
        (["tune"], 0),
        (["tune", FIRST, "--help"], 0),
        (["tune", FIRST, "--method", "nonsense"], 2),
        (["tune", FIRST, "--trials", "0"], 2),
        (["sweep", FIRST, "--help"], 0),
        (["sweep", FIRST, "--methods", "nonsense"], 2),
        (["evaluate", "--help"], 0),
        (["predict", "--help"], 0),
        (["export", "--help"], 0),
        (["compare", "--help"], 0),
        (["nonsense"], 2),
        (["train", "nonsense"], 2),
        (["train", FIRST, "--nonsense", "3"], 2),
        (["train", FIRST, "--preset", "nonsense"], 2),
        (["train", FIRST, "--batch-size", "0"], 2),
        (["train", FIRST, "--validation-fraction", "1.5"], 2),
        (["train", FIRST, "--config", "nonsense.json"], 2),
        (["evaluate", "nonsense"], 2),
        (["export", "nonsense", "--format", "nonsense"], 2),
        (["compare", "one"], 2),
    ],
)
def test_answers_without_keras(words, code, pool, tmp_path):
    check_without_keras(pool, words, code, tmp_path)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["evaluate", "RUN", "--data", "nonsense"], 2, "no data at 'nonsense'"),
        (["evaluate", "RUN", "--data", "file.npz"], 1, "file.npz"),
        (["predict", "RUN", "nonsense.png"], 1, "nonsense.png: there is no such file"),
        (["explain", "RUN", "nonsense.png"], 1, "nonsense.png: there is no such file"),
        (["explain", "RUN", "file.npz", "--label", "zeros"], 2, "did you mean 'zero'"),
        (["export", "RUN"], 2, "savedmodel exists"),
        (["export", "RUN", "--format", "litert", "--output", "file.npz"], 2, "file.npz exists"),
        (["export", "RUN", "--format", "litert", "--data", "nonsense"], 2, "no data at"),
        (["report", "RUN"], 1, "is not finished"),
        (["compare", "RUN", "nonsense"], 1, "is not a finished run"),
        (["compare", "nonsense", "RUN"], 2, "no run folder at nonsense"),
        (["train", FIRST, "--data", "nonsense"], 2, "no data at"),
        (["train", FIRST, "--config", "RUN/timing.json"], 2, "is not a configuration"),
        (
            ["train", FIRST, "--data", "sample", "--run-dir", "RUN", "--seed", "5"],
            2,
            "seed: 0 -> 5",
        ),
    ],
)
def test_mistakes_about_a_run_are_answered_without_keras(words, code, message, pool, tmp_path):
    folder = tmp_path / "RUN"
    (folder / "savedmodel").mkdir(parents=True)
    for file in ("best.keras", "../file.npz"):
        (folder / file).write_text("not looked into")
    config = registry.load(FIRST).PRESETS["best"]
    contents = {
        "config": {
            "recipe": FIRST,
            "preset": "best",
            "data": "sample",
            "data_dir": None,
            "config": configuration.to_dict(config),
        },
        "environment": {
            "data": {"kind": "image", "class_names": ["zero", "one"], "fingerprint": "f"}
        },
        "timing": {"recipe": FIRST},
    }
    for name, content in contents.items():
        write_json_atomic(folder / f"{name}.json", content)
    assert message in check_without_keras(pool, words, code, tmp_path)


def check_without_keras(pool, words, code, tmp_path, heavy=HEAVY):
    """Runs a command in a process, checks how it ends, and returns what it says of its mistake."""
    found, loaded, errors = answer(pool, words, tmp_path, heavy)
    assert found == code
    assert loaded == []
    assert "Traceback" not in errors
    lines = [line for line in errors.splitlines() if line != "Reading the data ..."]
    if code:
        assert len(lines) == 1
        assert lines[0].startswith("error: ")
    return errors


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["evaluate", "--help"],
        ["tune", "mnist_cnn", "--help"],
        ["sweep", "mnist_cnn", "--help"],
        *[["train", name, "--help"] for name in registry.names()],
    ],
)
def test_reading_and_training_a_recipe_start_without_numpy(words, pool, tmp_path):
    check_without_keras(pool, words, 0, tmp_path, heavy=("numpy", *HEAVY))


def test_backend_that_is_being_started_is_announced(monkeypatch, capsys):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    backend.announce()
    assert capsys.readouterr().err == "Starting JAX ...\n"
    monkeypatch.setitem(sys.modules, "keras", object())
    backend.announce()
    assert capsys.readouterr().err == ""


def test_help_of_explain_says_what_is_drawn(capsys):
    assert main(["explain", "--help"]) == 0
    text = capsys.readouterr().out
    for drawn in ("heat map", "integrated gradients", "words shaded", "removed", "random weights"):
        assert drawn in text


@pytest.mark.parametrize("name", registry.names())
def test_three_ways_to_run_a_recipe_from_any_directory(name, tmp_path):
    script = registry.recipes_folder() / name / "train.py"
    outputs = []
    for command in (
        [sys.executable, "-m", f"recipes.{name}.train"],
        [sys.executable, str(script)],
        [sys.executable, "-m", "recipes", "train", name],
    ):
        done = subprocess.run(
            [*command, "--help"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{NO_NETWORK}{os.pathsep}{ROOT}"},
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1] == outputs[2]
    assert "--batch-size" in outputs[0]
    assert "--preset" in outputs[0]


def test_python_without_the_packages_is_told_where_they_are():
    # -S: without what is installed.
    command = [sys.executable, "-S", "-m", "recipes", "list"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ModuleNotFoundError: No module named '")
    assert f"this is {sys.executable}; `make setup` installs" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_package_that_a_command_imports_is_seen(pool, tmp_path):
    # Otherwise the tests above could not fail.
    words = ["train", FIRST, "--data", str(tmp_path), "--run-dir", "run"]
    _, loaded, _ = answer(pool, words, tmp_path, ("numpy",))
    assert loaded == ["numpy"]
