"""Where words go: a reader that leaves, streams that are closed, encodings that lack a character."""

import io
import os
import subprocess
import sys
import time

import pytest

from common.basics import child, streams
from common.basics.errors import RecipeError
from common.basics.files import write_text_atomic
from common.data import inputs
from common.tuning.processes import Worker
from tests.conftest import NO_NETWORK, ROOT

PRELUDE = "import os, sys; from common.basics import streams; streams.prepare()\n"


def program(code, shell="", **environment):
    """Runs Python code after `streams.prepare()`, with redirections of a shell."""
    return subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {shell}', sys.executable, PRELUDE + code],
        capture_output=True,
        text=True,
        encoding=environment.get("PYTHONIOENCODING"),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{NO_NETWORK}{os.pathsep}{ROOT}", **environment},
        timeout=300,
    )


WORK = """
streams.goes_on("the training")
for epoch in range(2000):
    print(f"epoch {epoch}", "." * 70, flush=True)
os.system("echo from a child")
sys.stderr.write("done\\n")
raise SystemExit(streams.finish(0))
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_work_goes_on_when_the_reader_leaves_and_says_so_once(unbuffered):
    done = program(WORK, "| head -1; exit ${PIPESTATUS[0]}", PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 0
    assert done.stdout.startswith("epoch 0 ...")
    assert len(done.stdout.splitlines()) == 1
    note = "note: nobody reads the output any more; the training goes on without it"
    assert done.stderr.splitlines() == [note, "done"]


def test_both_streams_may_lose_their_reader():
    done = program(WORK, "2>&1 | head -1; exit ${PIPESTATUS[0]}")
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_command_that_only_prints_is_quiet_when_the_reader_has_enough():
    done = program(WORK.replace("streams.goes_on", "str"), "| head -1; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stderr) == (0, "done\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_words_that_a_full_disk_swallows_are_an_error_at_the_end():
    done = program(WORK, "> /dev/full")
    assert done.returncode == 1
    note, end, error = done.stderr.splitlines()
    assert note == (
        "note: the output cannot be written any more (No space left on device); "
        "the training goes on without it"
    )
    assert (end, error) == ("done", "error: could not write the output: No space left on device")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_as_if_nobody_listened(closed, tmp_path):
    code = (
        "print('words', sys.stdout.isatty()); print('words', file=sys.stderr); sys.stderr.flush()\n"
        # The next file must not get the number of a closed stream: native code writes there.
        "file = open(sys.argv[1], 'w'); assert file.fileno() > 2; os.write(2, b'native')\n"
        # A child needs them, too.
        "import subprocess; subprocess.run([sys.executable, '-c', 'import sys; sys.stdin.read()'],\n"
        "    check=True)\n"
        "file.write('held'); raise SystemExit(streams.finish(0))"
    )
    done = program(code, f"{tmp_path / 'file'} {closed}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "file").read_text() == "held"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_what_an_encoding_lacks_is_shown_by_its_code(encoding):
    words = "Ärger \u65e5\u672c \udcff"
    done = program(f"print({words!r}); sys.exit(streams.finish(0))", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    found = done.stdout.strip()
    assert found.endswith("\\udcff")
    assert ("\\u65e5" in found) == (encoding != "utf-8")


def test_streams_that_somebody_put_in_their_place_stay(monkeypatch):
    taken = io.StringIO()
    monkeypatch.setattr(sys, "stdout", taken)
    streams.prepare()
    print("words")
    assert streams.finish(0) == 0
    assert taken.getvalue() == "words\n"


@pytest.mark.parametrize(
    ("words", "code"), [(["list"], 0), (["--help"], 0), (["train"], 0), (["lsit"], 2)]
)
@pytest.mark.parametrize("shell", ["| head -1; exit ${PIPESTATUS[0]}", "<&- >&- 2>&-"])
def test_commands_that_only_print(words, code, shell):
    done = program(f"from common import cli; sys.exit(cli.main({words}))", shell)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_work_is_announced_only_where_it_takes_time(monkeypatch, capsys):
    monkeypatch.setattr(streams, "GLANCE", 0.05)
    with streams.doing("Reading the data"):
        pass
    time.sleep(0.1)
    assert capsys.readouterr().err == ""
    with streams.doing("Reading the data"):
        time.sleep(0.2)
    assert capsys.readouterr().err == "Reading the data ...\n"


def test_standard_input_that_is_closed_is_named(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(RecipeError, match="cannot read standard input: it is closed"):
        inputs.check_files(["-"])


def test_lines_of_a_child_arrive_whatever_its_bytes(monkeypatch, capsys):
    start = subprocess.Popen
    code = "import sys; print('±'); sys.stdout.flush(); sys.stdout.buffer.write(b'\\xff\\n')"
    words = [sys.executable, "-c", code]
    monkeypatch.setattr(child.subprocess, "Popen", lambda _, **how: start(words, **how))
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    assert child.run(["list"], indent="  ") == 0
    assert capsys.readouterr().out == "  ±\n  \N{REPLACEMENT CHARACTER}\n"


def test_last_words_of_a_worker_arrive_whatever_the_encoding(monkeypatch, tmp_path):
    start = subprocess.Popen
    words = [sys.executable, "-c", "import sys; print('error: no data at \u65e5', file=sys.stderr)"]
    monkeypatch.setattr(subprocess, "Popen", lambda _, **how: start(words, **how))
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    worker = Worker(tmp_path, 0, 1)
    worker.process.wait()
    assert worker.last_words().startswith("no data at \u65e5 (log: ")
    worker.stop()


def test_a_name_that_is_no_text_can_be_written(tmp_path):
    write_text_atomic(tmp_path / "report.html", "runs/\udcff")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "runs/\\udcff"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_training_reaches_its_end_without_a_reader_or_an_encoding(tmp_path, cache_folder):
    data = tmp_path / "\u65e5\u672c.csv"
    rows = [f"{'good' if index % 2 else 'bad'} film {index},{index % 2}" for index in range(60)]
    data.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    run = os.fsdecode(os.fsencode(tmp_path) + b"/run-\xff")
    words = ["train", "imdb_bilstm", "--preset", "sample", "--data", str(data), "--epochs", "2"]
    done = program(
        f"from common import cli; sys.exit(cli.main({[*words, '--run-dir', run]!r}))",
        "<&- | head -1; exit ${PIPESTATUS[0]}",
        PYTHONIOENCODING="ascii",
        KERAS_RECIPE_BOX_CACHE=str(cache_folder),
    )
    assert done.returncode == 0, done.stderr
    assert "the training goes on without it" in done.stderr
    assert os.path.exists(os.path.join(run, "metrics.json"))
    assert os.path.exists(os.path.join(run, "report.html"))
