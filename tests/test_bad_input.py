"""Bad input: an exit code, one clear message, nothing lost, no traceback without --debug.

Data files that cannot be read are in test_own_data.py, models that carry code in test_loading.py.
"""

import dataclasses
import errno
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from common.basics import backend, startup
from common.basics.errors import RecipeError, UsageError
from common.basics.files import could_not_write, read_json, write_json_atomic, write_text_atomic
from common.cli import main
from common.data import input_contents
from common.report import facts, page
from common.runs import registry
from common.runs.options import Options
from common.runs.run import Run
from tests.conftest import ROOT
from tests.helpers import assert_equal_weights, tiny_config, train_tiny, weights

NAME = "mnist_cnn"


@pytest.fixture(scope="module")
def finished(tiny_data, tmp_path_factory):
    run, _ = train_tiny(NAME, tiny_data["image"], tmp_path_factory.mktemp("bad") / "run")
    return run


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of a finished run that a test may damage."""
    return shutil.copytree(finished.directory, tmp_path / "run")


@pytest.fixture
def fails(capsys):
    """Returns a function that runs a command and gives its exit code and its only line.

    Beside it may stand what took a while: `Reading the data ...`.
    """

    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        lines = [line for line in captured.err.splitlines() if not line.endswith(" ...")]
        assert len(lines) == 1, captured.err
        assert lines[0].startswith("error: ")
        return code, lines[0]

    return run


def test_offline_and_absent_data_names_the_ways_out(fails, in_tmp, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(in_tmp / "empty"))
    monkeypatch.setenv("KERAS_RECIPE_BOX_CACHE", str(in_tmp / "cache"))
    code, line = fails("train", NAME)
    assert code == 1
    for way in ("--data sample", "--data-dir", "make data"):
        assert way in line


def test_data_path_that_is_not_there(fails, in_tmp):
    code, line = fails("train", NAME, "--data", "nowhere/digits")
    assert code == 2
    assert "nowhere/digits" in line


def test_data_dir_that_is_not_there(fails, in_tmp):
    code, line = fails("train", NAME, "--data-dir", "nowhere")
    assert code == 1
    assert "nowhere, a folder that does not exist" in line


def not_installed():
    raise RecipeError("Keras cannot use the backend torch")


@pytest.mark.parametrize(
    ("words", "failing", "code"),
    [
        (["--data", "nowhere"], None, 2),
        (["--data-dir", "nowhere", "--data", "full"], None, 1),
        (["--learning-rate", "inf"], None, 2),
        (["--seed", str(2**32)], None, 2),
        (["--filters", "4", "8", "16"], None, 2),
        ([], "name", 2),
        ([], "start", 1),
    ],
)
@pytest.mark.parametrize("overwrite", [True, False])
def test_what_fails_before_the_training_touches_no_folder(
    words, failing, code, overwrite, fails, copy, finished, in_tmp, monkeypatch
):
    if failing == "name":
        monkeypatch.setenv("KERAS_BACKEND", "jaxx")
    if failing == "start":
        monkeypatch.setattr(backend, "start", not_installed)
    folder = copy if overwrite else in_tmp / "new"
    before = {path: path.read_bytes() for path in in_tmp.rglob("*") if path.is_file()}
    command = ["train", NAME, "--config", finished.path("config.json")]
    command += ["--data", finished.options.data, "--run-dir", folder, *words]
    found, line = fails(*command, *["--overwrite"] * overwrite)
    assert found == code, line
    after = {path: path.read_bytes() for path in in_tmp.rglob("*") if path.is_file()}
    assert after == before
    assert not (in_tmp / "new").exists()
    assert not (in_tmp / "runs").exists()


def test_unknown_backend_names_those_there_are(fails, copy, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jaxx")
    for words in (["train", NAME, "--data", "sample"], ["evaluate", copy], ["tune", NAME]):
        code, line = fails(*words)
        assert code == 2
        assert "did you mean 'jax'? (there are: tensorflow, jax, torch)" in line


def test_text_for_an_image_recipe(fails, in_tmp, tiny_data):
    code, line = fails("train", NAME, "--data", tiny_data["text"])
    assert code == 1
    assert "image" in line


def test_config_of_another_recipe(fails, in_tmp, finished):
    code, line = fails("train", "cifar10_cnn", "--config", finished.path("config.json"))
    assert code == 2
    assert "of mnist_cnn, not of cifar10_cnn" in line


def test_config_with_an_unknown_key_or_a_bad_value(fails, in_tmp):
    write_json_atomic("config.json", {"recipe": NAME, "config": {"epoch": 3}})
    code, line = fails("train", NAME, "--config", "config.json")
    assert code == 2
    assert "did you mean 'epochs'" in line
    write_json_atomic("config.json", {"batch_size": 0})
    code, line = fails("train", NAME, "--config", "config.json")
    assert code == 2
    assert "batch_size must be at least 1" in line


def test_run_folder_of_another_recipe_or_config_or_data(finished, tiny_data):
    options = Options(data=str(tiny_data["image"]), run_dir=finished.directory)
    with pytest.raises(UsageError, match="finished run"):
        Run(NAME, finished.config, options).open()
    changed = dataclasses.replace(finished.config, epochs=9, dropout_rate=0.25)
    with pytest.raises(UsageError, match=r"dropout_rate: 0.5 -> 0.25; epochs: 2 -> 9"):
        Run(NAME, changed, options).open()
    with pytest.raises(UsageError, match="data: .*images.npz -> sample"):
        Run(NAME, finished.config, dataclasses.replace(options, data="sample")).open()
    with pytest.raises(UsageError, match="holds a run of mnist_cnn, not of cifar10_cnn"):
        Run("cifar10_cnn", tiny_config("cifar10_cnn"), options).open()
    assert finished.path("best.keras").exists()


def test_overwrite_spares_folders_that_no_run_wrote(tmp_path):
    (tmp_path / "thesis.txt").write_text("do not delete")
    options = Options(data="sample", run_dir=tmp_path, overwrite=True)
    with pytest.raises(UsageError, match="holds no run"):
        Run(NAME, tiny_config(NAME), options).open()
    assert (tmp_path / "thesis.txt").exists()
    with pytest.raises(UsageError, match="is a file"):
        Run(NAME, tiny_config(NAME), Options(run_dir=tmp_path / "thesis.txt")).open()


def test_folder_in_which_another_process_trains(tiny_data, tmp_path):
    options = Options(data=str(tiny_data["image"]), run_dir=tmp_path)
    program = (
        "import sys, time; from pathlib import Path; from common.runs.options import Options;"
        "from common.runs.run import Run;"
        "from tests.helpers import tiny_config;"
        f"run = Run({NAME!r}, tiny_config({NAME!r}), Options(data={options.data!r},"
        f" run_dir=Path({str(tmp_path)!r}))).open(); print('open', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "open\n"
        for overwrite in (False, True):
            again = dataclasses.replace(options, overwrite=overwrite)
            with pytest.raises(UsageError, match="another process is training"):
                Run(NAME, tiny_config(NAME), again).open()
        assert (tmp_path / "config.json").exists()
    finally:
        other.kill()
        other.wait()
    assert Run(NAME, tiny_config(NAME), options).open().directory == tmp_path


def test_leftovers_of_a_kill_do_not_block_the_folder_and_are_removed(tmp_path):
    def open_run():
        return Run(NAME, tiny_config(NAME), Options(data="sample", run_dir=tmp_path)).open()

    # Killed at its first write, and again while it stored an epoch.
    (tmp_path / ".partial-abc.json").write_text("{")
    open_run()
    (tmp_path / "backup").mkdir()
    for name in (".partial-def.keras", "backup/.partial-ghi.npz", "backup/state.npz"):
        (tmp_path / name).write_text("half")
    open_run()
    assert read_json(tmp_path / "config.json")["data"] == "sample"
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"config.json", "state.npz", ".lock"}


def test_data_that_changed_since_the_run_started(tiny_data, tmp_path):
    data = tmp_path / "data.npz"
    shutil.copy(tiny_data["image"], data)
    run, _ = train_tiny(NAME, data, tmp_path / "run")
    run.path("metrics.json").unlink()
    with np.load(data) as arrays:
        changed = dict(arrays)
    changed["x_train"][0] += 1
    np.savez(data, **changed)
    with pytest.raises(RecipeError, match="the data changed"):
        train_tiny(NAME, data, tmp_path / "run")


def test_run_that_goes_on_under_another_backend(copy, tiny_data):
    (copy / "metrics.json").unlink()
    environment = read_json(copy / "environment.json")
    write_json_atomic(copy / "environment.json", environment | {"backend": "other"})
    with pytest.raises(
        RecipeError,
        match=f"backend other, and this is {environment['backend']}.*KERAS_BACKEND=other",
    ):
        train_tiny(NAME, tiny_data["image"], copy)
    assert not (copy / "metrics.json").exists()


def test_run_that_goes_on_with_other_versions_says_so(copy, tiny_data):
    (copy / "metrics.json").unlink()
    environment = read_json(copy / "environment.json")
    assert "resumed" not in environment
    old = environment | {"commit": "abc", "versions": {**environment["versions"], "keras": "3.0"}}
    write_json_atomic(copy / "environment.json", old)
    train_tiny(NAME, tiny_data["image"], copy)
    held = read_json(copy / "environment.json")
    (resumed,) = held.pop("resumed")
    assert held == old
    assert resumed["commit"] == environment["commit"]
    assert resumed["versions"] == [f"keras: 3.0 -> {environment['versions']['keras']}"]
    rows = dict(facts.environment(held | {"resumed": [resumed]}))
    assert "keras: 3.0 ->" in rows["resumed"]


@pytest.mark.parametrize("command", ["evaluate", "report", "export", "predict"])
def test_folder_that_is_no_run(command, fails, tmp_path):
    words = [command, tmp_path, "file.png"] if command == "predict" else [command, tmp_path]
    code, line = fails(*words)
    assert code == 2
    assert "is not a run folder" in line


def test_run_without_a_model_yet(fails, copy):
    (copy / "best.keras").unlink()
    code, line = fails("evaluate", copy)
    assert code == 1
    assert "no trained model yet" in line


def test_hint_at_a_command_is_one_that_works(fails, finished, tmp_path, capsys):
    # A folder that a shell would take apart.
    copy = shutil.copytree(finished.directory, tmp_path / "my run's")
    (copy / "metrics.json").unlink()
    code, line = fails("report", copy)
    assert code == 1
    words = shlex.split(line.split("`")[1])
    assert words[:3] == ["recipes", "train", NAME]
    shutil.rmtree(copy / "backup")
    (copy / "best.keras").unlink()
    assert line.split("`")[1] == fails("evaluate", copy)[1].split("`")[1]
    assert main([*words[1:], "--no-report"]) == 0, capsys.readouterr().err
    assert (copy / "metrics.json").read_bytes() == finished.path("metrics.json").read_bytes()


def test_command_of_a_run_keeps_its_flags():
    options = Options(data_dir="my data", run_dir="x", deterministic=True, report=False)
    words = shlex.split(Run(NAME, tiny_config(NAME), options).command)
    assert words[5:] == [
        *("--data", "full", "--data-dir", "my data", "--run-dir", "x"),
        *("--deterministic", "--no-report"),
    ]


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("config.json", [], "expected an object, got a list"),
        ("config.json", {}, "is damaged: it lacks 'recipe'"),
        ("config.json", {"recipe": NAME, "data": "sample", "config": 3}, "is not a configuration"),
        ("environment.json", {}, "is damaged: it lacks 'data'"),
        ("metrics.json", {}, "is damaged: it lacks 'data'"),
        ("metrics.json", [], "expected an object, got a list"),
    ],
)
def test_damaged_files_of_a_run(file, content, words, fails, copy, tmp_path):
    write_text_atomic(copy / file, json.dumps(content))
    (tmp_path / "a.png").write_bytes(b"")
    commands = [["report", copy]]
    if file != "metrics.json":
        commands += [["evaluate", copy], ["predict", copy, tmp_path / "a.png"]]
        commands += [["explain", copy, tmp_path / "a.png", "--label", "1"]]
    for command in commands:
        code, line = fails(*command)
        assert code in (1, 2)
        assert file in line
        assert words in line, command


def test_run_is_scored_again_as_the_messages_say(copy, tiny_data, fails):
    (copy / "predictions.npz").unlink()
    (copy / "metrics.json").write_text("{}")
    _, line = fails("compare", copy, copy)
    assert "delete metrics.json and repeat the training command" in line
    (copy / "metrics.json").unlink()
    before = (copy / "final.keras").stat().st_mtime
    _, metrics = train_tiny(NAME, tiny_data["image"], copy)
    assert metrics["epochs"] == 2
    assert (copy / "predictions.npz").exists()
    assert (copy / "final.keras").stat().st_mtime >= before


def test_report_that_a_kill_cut_off_is_written_by_the_same_command(
    fails, copy, finished, capsys, monkeypatch
):
    words = ["train", NAME, "--config", str(copy / "config.json"), "--run-dir", str(copy)]
    words += ["--data", finished.options.data]
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert "finished run" in fails(*words, "--no-report")[1]
    monkeypatch.setattr(page, "write_text_atomic", _killed)
    with pytest.raises(SystemError):
        main([*words, "--debug"])
    monkeypatch.undo()
    assert (copy / "figures").exists()
    assert main(words) == 0
    output = capsys.readouterr().out
    assert "is trained; its report is missing: writing it" in output
    assert "Test accuracy" in output
    assert (copy / "report.html").exists()
    assert {path: path.read_bytes() for path in before} == before
    code, line = fails(*words)
    assert code == 2
    assert "holds a finished run" in line


def test_report_that_a_kill_cut_off_is_of_the_data_trained_on(fails, copy, finished, tmp_path):
    data = tmp_path / "data.npz"
    shutil.copy(finished.options.data, data)
    config = read_json(copy / "config.json")
    write_json_atomic(copy / "config.json", config | {"data": str(data)})
    with np.load(data) as arrays:
        changed = dict(arrays)
    changed["x_train"][0] += 1
    np.savez(data, **changed)
    words = ["train", NAME, "--config", copy / "config.json", "--run-dir", copy, "--data", data]
    code, line = fails(*words)
    assert code == 1
    assert "is not the data that" in line
    assert not (copy / "report.html").exists()


def _killed(*args):
    raise SystemError


def test_report_of_data_that_moved(fails, copy, tiny_data, tmp_path, monkeypatch):
    config = read_json(copy / "config.json")
    write_json_atomic(copy / "config.json", config | {"data": str(tmp_path / "gone.npz")})
    code, line = fails("report", copy)
    assert code == 2
    assert "gone.npz" in line
    code, line = fails("report", copy, "--data", "sample")
    assert code == 1
    assert "is not the data that" in line
    monkeypatch.setattr(
        "common.cli.trained.write_run_report", lambda run, module, splits: splits.info.fingerprint
    )
    assert main(["report", str(copy), "--data", str(tiny_data["image"])]) == 0


def test_corrupt_model(fails, copy):
    content = (copy / "best.keras").read_bytes()
    (copy / "best.keras").write_bytes(content[: len(content) // 2])
    code, line = fails("evaluate", copy)
    assert code == 1
    assert "best.keras" in line


def test_corrupt_backup(copy, tiny_data, finished):
    (copy / "metrics.json").unlink()
    backup = copy / "backup/state.npz"
    backup.write_bytes(backup.read_bytes()[:1000])
    with pytest.raises(RecipeError, match=r"state.npz is damaged.*--overwrite"):
        train_tiny(NAME, tiny_data["image"], copy)


def test_backup_of_another_model(copy, tiny_data, monkeypatch):
    (copy / "metrics.json").unlink()
    model = registry.load_model_module(NAME)
    original = model.build_model
    monkeypatch.setattr(
        model,
        "build_model",
        lambda config, n: original(dataclasses.replace(config, filters=(3, 5)), n),
    )
    with pytest.raises(RecipeError, match="another version of this model"):
        train_tiny(NAME, tiny_data["image"], copy)


def test_predict_of_what_is_no_image(fails, copy, tmp_path):
    (tmp_path / "note.png").write_text("not a picture")
    code, line = fails("predict", copy, tmp_path / "note.png")
    assert code == 1
    assert "note.png" in line
    code, line = fails("predict", copy, tmp_path / "absent.png")
    assert code == 1
    assert "absent.png" in line


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_predict_of_standard_input_that_is_no_image(content, fails, copy, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    code, line = fails("predict", copy, "-")
    assert code == 1
    assert "the image standard input" in line
    assert "object at 0x" not in line


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe"])
def test_text_that_is_empty_or_no_text(content, tmp_path, monkeypatch):
    file = tmp_path / "review.txt"
    file.write_bytes(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    for name, words in ((str(file), "review.txt"), ("-", "standard input")):
        with pytest.raises(RecipeError, match=f"{words} (holds no text|is not UTF-8)"):
            input_contents.read_texts([name])


def test_evaluate_on_data_with_other_classes(fails, copy):
    code, line = fails("evaluate", copy, "--data", "sample")
    assert code == 1
    assert "classes" in line


def test_folder_that_cannot_be_written(fails, tmp_path):
    # A file where a folder must be: refused for every user, root included.
    (tmp_path / "file").write_text("")
    code, line = fails("train", NAME, "--data", "sample", "--run-dir", tmp_path / "file" / "run")
    assert code == 1
    assert "could not write" in line


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_full_disk_keeps_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "metrics.json"
    write_text_atomic(path, "old")
    monkeypatch.setattr("tempfile.mkstemp", lambda **kwargs: _full(tmp_path))
    with pytest.raises(RecipeError, match=r"could not write .*No space left.*unchanged"):
        write_text_atomic(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.json"]


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EROFS, "writable"),
        (errno.ENOTDIR, "Choose another"),
    ],
)
def test_advice_suits_what_stopped_the_writing(number, advice):
    message = str(could_not_write("report.html", OSError(number, os.strerror(number))))
    assert advice in message
    assert ("space" in message.lower().replace("no space left", "")) == (number == errno.ENOSPC)


def _full(folder):
    link = folder / ".partial-full"
    link.symlink_to("/dev/full")
    return os.open(link, os.O_WRONLY), str(link)


def test_loss_that_is_not_finite_stops_the_run(tiny_data, tmp_path):
    with pytest.raises(
        RecipeError, match=r"the loss is (nan|inf).*epoch \d.*learning rate"
    ) as error:
        train_tiny(NAME, tiny_data["image"], tmp_path / "run", learning_rate=1e30, epochs=4)
    assert error.value.exit_code == 3
    assert not (tmp_path / "run/metrics.json").exists()
    assert not list((tmp_path / "run").glob("*pending*"))


def test_last_good_model_is_kept_when_the_loss_breaks(tiny_data, tmp_path, monkeypatch):
    from common.training.batches import ArrayBatches

    get = ArrayBatches.__getitem__

    def broken(self, index):
        x, y = get(self, index)
        # Training batches have a seed. Labels that are NaN break the loss, and then all weights.
        return x, y * np.nan if self.seed is not None and self.epoch == 1 else y

    monkeypatch.setattr(ArrayBatches, "__getitem__", broken)
    with pytest.raises(RecipeError, match=r"the loss is nan.*of epoch 2.*kept in best.keras"):
        train_tiny(NAME, tiny_data["image"], tmp_path / "run")
    monkeypatch.undo()
    # Of the first epoch, bit for bit.
    one, _ = train_tiny(NAME, tiny_data["image"], tmp_path / "one", epochs=1)
    assert_equal_weights(tmp_path / "run/best.keras", one.path("best.keras"))
    assert all(np.isfinite(weight).all() for weight in weights(tmp_path / "run/best.keras"))


def test_errors_of_libraries_are_one_plain_line(fails, monkeypatch):
    def names():
        raise ValueError("\x1b[1mToo\x1b[0m\n\n  deep")

    monkeypatch.setattr(registry, "names", names)
    code, line = fails("list")
    assert code == 1
    assert line == "error: ValueError: Too deep (--debug shows the traceback)"


@pytest.mark.parametrize(("kind", "shown"), [(KeyboardInterrupt, ""), (ValueError, "log line")])
def test_what_a_starting_backend_says_is_shown_when_it_fails(kind, shown, capfd):
    def start():
        with startup.held_back_stderr():
            os.write(2, b"log line")
            raise kind

    with pytest.raises(kind):
        start()
    assert capfd.readouterr().err == shown


def test_debug_shows_the_traceback(in_tmp):
    with pytest.raises(UsageError):
        main(["train", NAME, "--config", "absent.json", "--debug"])


def test_a_config_that_is_no_zip_or_json(copy):
    assert zipfile.is_zipfile(copy / "best.keras")
    (copy / "config.json").write_text("{")
    with pytest.raises(RecipeError, match="config.json is not a readable JSON"):
        read_json(copy / "config.json", "run configuration")


def test_recipe_without_a_part_names_the_file(tmp_path, monkeypatch):
    (tmp_path / "half").mkdir()
    (tmp_path / "half/train.py").write_text('"""Half a recipe."""')
    monkeypatch.setattr("recipes.__path__", [str(tmp_path)])
    for part in ("model", "tune"):
        with pytest.raises(RecipeError, match=f"recipes/half/{part}.py is missing"):
            registry.load_part("half", part)
