"""A sweep folder that several commands share, and what damage and kills leave in it."""

import fcntl
import json
import threading

import pytest

from common.basics.errors import RecipeError, UsageError
from common.tuning import folder
from common.tuning.definition import FILE, Definition
from common.tuning.store import Store
from common.tuning.trial import COMPLETED, FAILED, PRUNED, Trial
from tests import toy_sweep


def test_any_number_of_commands_but_one_that_starts_over(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "MOMENT_SECONDS", 0.2)
    with (
        folder.joined(tmp_path, fresh=False),
        folder.joined(tmp_path, fresh=False),
        pytest.raises(UsageError, match="stop it before --fresh"),
    ):
        folder.joined(tmp_path, fresh=True).__enter__()
    with folder.joined(tmp_path, fresh=True) as let_others_join:
        with pytest.raises(UsageError, match="starts over; wait until it searches"):
            folder.joined(tmp_path, fresh=False).__enter__()
        let_others_join()
        with folder.joined(tmp_path, fresh=False):
            pass


def test_whoever_tidies_up_for_a_moment_is_waited_for(tmp_path):
    with (tmp_path / folder.LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        threading.Timer(0.3, lambda: fcntl.flock(file, fcntl.LOCK_UN)).start()
        with folder.joined(tmp_path, fresh=False):
            pass


def test_what_killed_writes_left_is_deleted_by_whoever_is_alone(tmp_path):
    (tmp_path / "retrain").mkdir()
    left = [tmp_path / ".partial-a.json", tmp_path / "retrain" / ".partial-b.json"]
    for path in left:
        path.write_text("half")
    with folder.joined(tmp_path, fresh=False):
        assert not any(path.exists() for path in left)
        # It may be written just now.
        left[0].write_text("half")
        with folder.joined(tmp_path, fresh=False):
            assert left[0].exists()


def test_what_killed_writes_left_in_a_trial_is_deleted_by_whoever_runs_it(tmp_path):
    store = Store(tmp_path)
    trial = Trial(0, {"x": 1})
    store.write(trial)
    left = [
        store.folder(trial) / ".partial-a.json",
        store.folder(trial) / "fold-1/.partial-b.keras",
    ]
    left[1].parent.mkdir()
    for path in left:
        path.write_text("half")
    assert [each.number for each in store.read()] == [0]
    assert store.claim(trial)
    assert not any(path.exists() for path in left)


def test_the_winner_is_trained_by_one_at_a_time(tmp_path, capsys):
    inside, ends = threading.Event(), []

    def second():
        inside.wait()
        with folder.alone_at_the_end(tmp_path):
            ends.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with folder.alone_at_the_end(tmp_path):
        inside.set()
        thread.join(0.3)
        ends.append("first")
    thread.join()
    assert ends == ["first", "second"]
    assert capsys.readouterr().out.count("waiting for it") == 1


DAMAGED = [
    "{",
    "[1]",
    "[" * 100_000,
    '{"number": 1, "values": {}, "epochs": ' + "9" * 5000 + "}",
    '{"number": 2, "values": {}}',
    '{"number": 1}',
    '{"number": 1, "values": 3}',
    '{"number": 1, "values": {}, "status": "lost"}',
    '{"number": 1, "values": {}, "score": "high"}',
    '{"number": 1, "values": {}, "colour": "red"}',
]


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_trial_is_named_in_one_sentence(text, tmp_path):
    store = Store(tmp_path)
    store.write(Trial(1, {"x": 1}))
    (tmp_path / "trials/0001/trial.json").write_text(text)
    with pytest.raises(RecipeError, match="trials/0001/trial.json .*delete its folder") as caught:
        store.read()
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", ["random", "grid", "hyperband"])
def test_a_damaged_trial_that_was_deleted_is_run_again_and_no_other(method, tmp_path):
    import shutil

    toy_sweep.make_tuner(method, tmp_path / "s", trials=6).search()
    whole = toy_sweep.table(tmp_path / "s")
    shutil.copytree(tmp_path / "s/trials/0002", tmp_path / "s/trials/copy of 0002")
    shutil.rmtree(tmp_path / "s/trials/0002")
    # A budget that went beyond its end may be spent without it.
    toy_sweep.make_tuner(method, tmp_path / "s", trials=6 + (method == "hyperband")).search()
    again = toy_sweep.table(tmp_path / "s")
    assert [row[0] for row in again][: len(whole)] == [row[0] for row in whole]
    assert again[2][1] == whole[2][1]
    assert again[2][2] in (COMPLETED, PRUNED, FAILED)
    others = [row[:6] for row in whole if row[0] != 2]
    assert [row[:6] for row in again if row[0] != 2][: len(others)] == others


@pytest.mark.parametrize("text", ["{", '{"recipe": "toy"}', '{"recipe": 1, "method": "random"}'])
def test_a_damaged_definition_is_named_in_one_sentence(text, tmp_path):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(RecipeError, match=FILE) as caught:
        Definition.read(tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_definition_of_another_version_is_read(tmp_path):
    held = {"recipe": "toy", "method": "random", "base": {}, "preset": "best", "later": 1}
    (tmp_path / FILE).write_text(json.dumps(held))
    assert Definition.read(tmp_path).method == "random"
