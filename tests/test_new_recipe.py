"""recipes/README.md, followed to the letter: a copied folder is a recipe, and no list was edited."""

import json
import os
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.conftest import NO_NETWORK, ROOT

NEW = "mnist_copy"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of the project in which mnist_cnn was copied under a new name."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("recipes", "common", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "constraints.txt", "README.md", "Makefile"):
        shutil.copy(ROOT / name, folder / name)
    new = folder / "recipes" / NEW
    shutil.copytree(folder / "recipes/mnist_cnn", new)
    for file in ("results.json", "tuning.json"):
        (new / file).unlink(missing_ok=True)
    readme = new / "README.md"
    readme.write_text(readme.read_text().replace("mnist_cnn", NEW))
    return folder


def run(clone, *words):
    return subprocess.run(
        [sys.executable, *words],
        cwd=clone,
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "PYTHONPATH": f"{NO_NETWORK}{os.pathsep}{clone}"},
    )


def test_cli_lists_and_explains_it(clone):
    rows = json.loads(run(clone, "-m", "recipes", "list", "--json").stdout)
    assert NEW in [row["name"] for row in rows]
    done = run(clone, "-m", "recipes", "train", NEW, "--help")
    assert done.returncode == 0
    assert f"recipes train {NEW}" in done.stdout


def test_make_knows_it(clone):
    """A pattern rule takes any name: what counts is that the command it names takes this one."""
    done = subprocess.run(["make", "help"], cwd=clone, capture_output=True, text=True)
    listed = done.stdout.split("NAME is a folder of recipes/:")[1].split()
    assert NEW in listed
    assert "mnist_cnn" in listed
    for verb in ("train", "results", "tune", "sweep"):
        done = subprocess.run(
            ["make", "-n", f"{verb}-{NEW}"], cwd=clone, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        (line,) = [line for line in done.stdout.splitlines() if f"recipes {verb} " in line]
        words = shlex.split(line.split("recipes ", 1)[1])
        assert words[1] == NEW
        done = run(clone, "-m", "recipes", *words, "--help")
        assert done.returncode == 0, done.stderr
        assert f"recipes {verb} {NEW}" in done.stdout
        # As it would not, were the name unknown.
        assert run(clone, "-m", "recipes", verb, f"{NEW}x", *words[2:]).returncode == 2


def test_table_row_appears(clone):
    done = run(clone, "-m", "common.cli.results")
    assert done.returncode == 0, done.stderr
    assert f"[{NEW}](recipes/{NEW}/README.md)" in (clone / "README.md").read_text()


@pytest.mark.slow
def test_contract_tests_run_over_it(clone):
    done = run(clone, "-m", "pytest", "-q", "tests/test_contract.py", "-k", NEW)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout
