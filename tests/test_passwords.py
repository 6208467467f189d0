"""A password in the address of a database is neither stored nor printed."""

import json
import subprocess
import sys

import pytest

from common.basics import passwords
from common.basics.errors import UsageError
from common.cli import main
from common.runs import environment
from common.tuning.definition import FILE, Definition
from common.tuning.processes import Worker

SECRET = "geheim%407"
URL = f"postgresql://me:{SECRET}@host:5432/name"
SHOWN = "postgresql://me:***@host:5432/name"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (URL, SHOWN),
        (SHOWN, SHOWN),
        (f"cannot reach {URL}, nor sqlite:///a.db", f"cannot reach {SHOWN}, nor sqlite:///a.db"),
        (f"--storage={URL}", f"--storage={SHOWN}"),
        ("mysql+pymysql://me:p:a/s@s@host/n", "mysql+pymysql://me:***@host/n"),
        (
            "postgresql://host/n?user=me&password=x/y&a=b",
            "postgresql://host/n?user=me&password=***&a=b",
        ),
        ("postgresql://me@host/name", "postgresql://me@host/name"),
        ("sqlite:///sweep.db", "sqlite:///sweep.db"),
        ("https://host:80/path and me@example.org", "https://host:80/path and me@example.org"),
        ("C:/a@b", "C:/a@b"),
    ],
)
def test_passwords_in_a_text_are_hidden(text, shown):
    assert passwords.hide(text) == shown


def test_a_word_may_hold_blanks():
    assert passwords.hide("x://me:a b@host/n", word=True) == "x://me:***@host/n"


@pytest.mark.parametrize(
    "url", [URL, "sqlite:///a.db", "mysql://me:pass@host", "mysql://me@host/n"]
)
def test_as_sqlalchemy_hides_them(url):
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="needs the extra [optuna]")
    expected = sqlalchemy.make_url(url).render_as_string(hide_password=True)
    assert passwords.hide(url) == expected


def test_an_address_is_known_here_and_to_processes_that_this_one_starts(monkeypatch):
    assert passwords.keep(None) is None
    url = "postgresql://me:one@elsewhere/n"
    assert passwords.keep(url) == "postgresql://me:***@elsewhere/n"
    assert passwords.reveal("postgresql://me:***@elsewhere/n") == url
    assert passwords.reveal("sqlite:///a.db") == "sqlite:///a.db"
    with pytest.raises(UsageError, match=rf"in x://me:\*\*\*@host/n .*set {passwords.VARIABLE}"):
        passwords.reveal("x://me:***@host/n")
    monkeypatch.setenv(passwords.VARIABLE, "y://me:three@host/n")
    with pytest.raises(UsageError):
        passwords.reveal("x://me:***@host/n")
    monkeypatch.setenv(passwords.VARIABLE, "x://me:two@host/n")
    assert passwords.reveal("x://me:***@host/n") == "x://me:two@host/n"


def test_a_recorded_command_line_has_none(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["recipes", "train", "x", "--storage", "x://me:a b@host/n"])
    assert environment.command() == "recipes train x --storage 'x://me:***@host/n'"
    old = f"recipes tune x --storage {URL} --data 'a b'"
    assert environment.without_passwords(old) == f"recipes tune x --storage '{SHOWN}' --data 'a b'"
    assert environment.without_passwords("recipes tune 'a b'") == "recipes tune 'a b'"
    assert environment.without_passwords(f"half ' {URL}") == f"half ' {SHOWN}"


@pytest.mark.parametrize(
    "words", [["nonsense", URL], ["tune", "mnist_cnn", URL], ["tune", "mnist_cnn", f"--x={URL}"]]
)
def test_no_error_message_has_one(words, capsys):
    assert main(words) == 2
    assert SECRET not in capsys.readouterr().err


def test_a_sweep_of_before_loses_its_password_and_goes_on(tmp_path):
    definition = Definition(recipe="toy", method="random", base={}, preset="best", storage=URL)
    assert definition.storage == SHOWN
    definition.write(tmp_path)
    held = json.loads((tmp_path / FILE).read_text())
    assert held["storage"] == SHOWN
    old = "postgresql://me:of-before@host/name"
    (tmp_path / FILE).write_text(json.dumps({**held, "storage": old}))
    definition = Definition.read(tmp_path)
    assert definition.storage == "postgresql://me:***@host/name"
    assert passwords.reveal(definition.storage) == old
    definition.write(tmp_path)
    assert "of-before" not in (tmp_path / FILE).read_text()


def test_workers_get_the_address_by_their_environment_alone(tmp_path, monkeypatch):
    started = {}

    def popen(command, *, env, **options):
        started.update(command=command, env=env)
        raise OSError("enough")

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(OSError, match="enough"):
        Worker(tmp_path, 0, 1, passwords.keep(URL))
    assert SECRET not in " ".join(started["command"])
    assert started["env"][passwords.VARIABLE] == URL
