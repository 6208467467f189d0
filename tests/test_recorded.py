"""A configuration file says what data it was made on, and `--config` holds to it."""

import json
import types

import pytest

from common.basics.errors import UsageError
from common.cli import main
from common.data.source import Reading
from common.runs import command_line, recorded, registry
from common.runs.options import Options
from common.tuning.contest import Options as ContestOptions
from common.tuning.options import TuneOptions as SweepOptions

NAME = registry.names()[0]


def written(path, **content):
    path.write_text(json.dumps({"recipe": NAME, "config": {"epochs": 1}, **content}))
    return path


def parsed(options, *words):
    module = registry.load(NAME)
    return command_line.parse_recipe(module, words, options, prog="x", description="x")


@pytest.mark.parametrize("options", [Options, SweepOptions, ContestOptions])
def test_the_default_of_data_is_refused_where_the_file_was_made_on_other_data(options, tmp_path):
    file = written(tmp_path / "best.json", data="sample", label="DIGITS")
    with pytest.raises(UsageError) as caught:
        parsed(options, "--config", str(file))
    assert str(caught.value) == (
        f"{file} was made on the data 'sample' (DIGITS), and without --data this command would use "
        "'full': give --data sample, or --data full if you want that"
    )
    for words in (["--data", "sample"], ["--data=full"], ["--data", "other.npz"]):
        assert parsed(options, "--config", str(file), *words)[1].epochs == 1


def test_own_data_is_known_by_its_whole_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = written(tmp_path / "config.json", data=str(tmp_path / "my data.npz"))
    with pytest.raises(UsageError, match=r"give --data '.*/my data.npz', or --data full if"):
        parsed(Options, "--config", str(file))
    assert parsed(Options, "--config", str(file), "--data", "my data.npz")


def test_data_that_was_read_in_another_way_is_other_data(tmp_path):
    data = str(tmp_path / "x.csv")
    file = written(tmp_path / "best.json", data=data, reading={"text_column": "body"})
    words = ["--config", str(file), "--data", data]
    with pytest.raises(UsageError, match="command would read it without: give --text-column body"):
        parsed(Options, *words)
    options, _ = parsed(Options, *words, "--text-column", "body")
    assert options.reading == Reading(text_column="body")
    assert parsed(Options, *words, "--text-column", "other")


@pytest.mark.parametrize("content", [{}, {"data": "full"}, {"data": None}])
def test_files_of_the_real_data_or_of_before_it_was_recorded_still_work(content, tmp_path):
    file = written(tmp_path / "best.json", **content)
    assert parsed(Options, "--config", str(file))[1].epochs == 1
    (tmp_path / "bare.json").write_text('{"epochs": 1}')
    assert parsed(Options, "--config", str(tmp_path / "bare.json"))[1].epochs == 1


def info(fingerprint):
    return types.SimpleNamespace(fingerprint=fingerprint * 64, label="HERE")


def test_data_is_the_same_by_its_fingerprint(tmp_path):
    file = written(tmp_path / "best.json", data="sample", label="THERE", fingerprint="a" * 64)
    # Moved, and equal; at the same place, and changed.
    assert recorded.remark(file, info("a"), "elsewhere.npz") is None
    assert recorded.remark(file, info("b"), "sample") == (
        f"Note: {file} was made on other data (THERE, fingerprint aaaaaaaaaaaa); this training uses "
        "HERE, fingerprint bbbbbbbbbbbb."
    )
    # A run's fingerprint stands beside its configuration; without it, the name has to do.
    file = written(tmp_path / "config.json", data="sample")
    assert recorded.remark(file, info("b"), "sample") is None
    assert "other data (sample)" in recorded.remark(file, info("b"), "full")
    environment = {"data": {"label": "RUN", "fingerprint": "c" * 64}}
    (tmp_path / "environment.json").write_text(json.dumps(environment))
    assert "other data (RUN, fingerprint cccc" in recorded.remark(file, info("b"), "sample")
    assert recorded.remark(written(tmp_path / "old.json"), info("b"), "full") is None


def test_on_the_command_line(in_tmp, capsys, tiny_data):
    file = written(in_tmp / "best.json", data="sample", label="DIGITS")
    assert main(["train", NAME, "--config", "best.json"]) == 2
    assert "give --data sample" in capsys.readouterr().err
    assert not (in_tmp / "runs").exists()
    assert file.exists()
