"""Whatever breaks while a file is written: it is the old one or the new one, and nothing else stays."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from common.basics import partial
from common.basics.errors import RecipeError, UsageError
from common.basics.files import atomic_path, link_to_nothing, read_json, write_json_atomic
from common.runs.config import read_config_file
from tests.conftest import NO_NETWORK, ROOT
from tests.faults import KILL, KINDS, Faults, Killed, partial_files, places

DEEP = "[" * 60_000
LONG = '{"epochs": ' + "1" * 5_000 + "}"


def write(path, text):
    """Writes in two pieces, as whoever writes more than a line."""
    with atomic_path(path) as temporary, temporary.open("w") as file:
        file.write(text)
        file.write("end")


def broken_at(work, folder, at, kind):
    """Breaks `work()` at one place; returns the error, None where it did its work all the same."""
    with Faults(folder, at, kind):
        try:
            work()
        except (RecipeError, Killed) as error:
            return error
    return None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("old", ["old", None])
def test_a_fault_anywhere_leaves_the_old_file_or_the_new_one(kind, old, tmp_path):
    count = places(tmp_path / "count", lambda: write(tmp_path / "count/a/b/file.txt", "new"))
    assert count > 8
    for at in range(count):
        folder = tmp_path / str(at)
        path = folder / "a/b/file.txt"
        if old:
            write(path, old)
        error = broken_at(lambda path=path: write(path, "new"), folder, at, kind)
        found = path.read_text() if path.exists() else None
        assert found in (f"{old}end" if old else None, "newend")
        if error is None:
            assert found == "newend"
        if kind != KILL:
            assert error is None or "\n" not in str(error)
            if "unchanged" in str(error):
                assert found == (f"{old}end" if old else None)
        write(path, "new")
        assert path.read_text() == "newend"
        assert partial_files(folder) == []


def test_the_folder_is_synced_after_the_file_and_every_new_folder(tmp_path):
    with Faults(tmp_path) as faults:
        write(tmp_path / "a/b/file.txt", "new")
    names = [name if path.name.startswith(".") else (name, path) for name, path in faults.done]
    a, b = tmp_path / "a", tmp_path / "a/b"
    assert names[-2:] == [("replace", b / "file.txt"), ("fsync", b)]
    assert names.index("fsync") < names.index("chmod") < len(names) - 2
    assert ("fsync", a) in names
    assert ("fsync", tmp_path) in names


def test_a_disk_that_does_not_confirm_a_rename_is_named(tmp_path):
    path = tmp_path / "file.txt"
    write(path, "old")
    count = places(tmp_path, lambda: write(path, "old"))
    error = broken_at(lambda: write(path, "new"), tmp_path, count - 1, errno.EIO)
    assert "was written, but the disk does not confirm it" in str(error)
    assert path.read_text() == "newend"


def test_a_folder_that_cannot_be_synced_spoils_nothing(tmp_path):
    path = tmp_path / "file.txt"
    count = places(tmp_path, lambda: write(path, "old"))
    assert broken_at(lambda: write(path, "new"), tmp_path, count - 1, errno.EINVAL) is None
    assert path.read_text() == "newend"


WRITER = """
import sys
from pathlib import Path
from common.basics import partial
folder = Path(sys.argv[1])
with partial.file_in(folder, ".txt") as file, partial.folder_in(folder) as inner:
    file.write_text("half")
    (inner / "part").write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
    assert file.exists() and (inner / "part").exists()
"""


def test_only_what_no_living_process_writes_is_removed(tmp_path):
    (tmp_path / ".partial-of-an-older-version.json").write_text("half")
    (tmp_path / ".partial-folder/inner").mkdir(parents=True)
    (tmp_path / ".partial-link").symlink_to(tmp_path / "nowhere")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "writing\n"
    write(tmp_path / "file.txt", "new")
    assert len(partial_files(tmp_path)) == 5
    living, killed = processes
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    write(tmp_path / "file.txt", "new")
    assert len(partial_files(tmp_path)) == 3
    assert living.communicate("")[0] == ""
    assert living.returncode == 0
    assert partial_files(tmp_path) == [".partial-link"]


def test_a_new_file_that_another_process_takes_for_abandoned_is_made_again(tmp_path, monkeypatch):
    lock, names = partial._lock, []

    def lock_late(handle, wait):
        if not names:
            names.extend(partial_files(tmp_path))
            (tmp_path / names[0]).unlink()
        return lock(handle, wait)

    monkeypatch.setattr(partial, "_lock", lock_late)
    with partial.file_in(tmp_path, ".txt") as path:
        assert path.exists()
        assert [path.name] == partial_files(tmp_path) != names


REPEATS = """
import sys
from pathlib import Path
from common.basics.files import read_json, write_json_atomic
for index in range(200):
    write_json_atomic(Path(sys.argv[1]), {"index": index})
    read_json(sys.argv[1])
"""


def test_processes_that_write_one_file_do_not_meet(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", REPEATS, str(tmp_path / "file.json")],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.communicate(timeout=120)[1] == ""
    assert [path.name for path in tmp_path.iterdir()] == ["file.json"]


@pytest.mark.parametrize("at", range(0, 9, 2))
def test_a_killed_process_leaves_the_old_file_or_the_new_one(at, tmp_path):
    write_json_atomic(tmp_path / "file.json", {"index": -1})
    environment = {
        **os.environ,
        "PYTHONPATH": f"{NO_NETWORK}{os.pathsep}{ROOT}",
        "FAULTS": f"{at} kill {tmp_path}",
    }
    words = [sys.executable, "-c", REPEATS, str(tmp_path / "file.json")]
    process = subprocess.run(words, env=environment, timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert read_json(tmp_path / "file.json")["index"] in (-1, 0, 1)
    write_json_atomic(tmp_path / "file.json", {})
    assert partial_files(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (DEEP, "nested too deeply"),
        ('{"a":' * 60_000, "nested too deeply"),
        (LONG, "a number in it has too many digits"),
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("\udcff", "can't decode byte"),
        ("\0" * 100, "Expecting value"),
    ],
)
def test_json_that_cannot_be_read_is_one_sentence(content, words, tmp_path):
    path = tmp_path / "file.json"
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(RecipeError, match=words) as one:
        read_json(path, "vocabulary")
    with pytest.raises(UsageError, match=words) as two:
        read_config_file(path, None, "mnist_cnn")
    for error in (one, two):
        assert str(path) in str(error.value)
        assert len(str(error.value)) < 400
        assert "\n" not in str(error.value)


def test_a_link_to_nothing_is_named(tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to("nowhere")
    assert link_to_nothing(tmp_path / "absent") == ""
    with pytest.raises(RecipeError, match=r"no metrics at .*link to nowhere, which is not there"):
        read_json(link, "metrics")
    with pytest.raises(UsageError, match=r"no configuration file .*link to nowhere"):
        read_config_file(link, None, "mnist_cnn")
    with pytest.raises(RecipeError, match=r"could not write .*link\.json is a link to nothing"):
        write_json_atomic(link / "file.json", {})
