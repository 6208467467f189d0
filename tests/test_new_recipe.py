"""recipes/README.md, followed to the letter: a copied folder is a recipe, and no list was edited.

One copy keeps its data set, the other declares one that nothing else in the project names.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import NO_NETWORK, ROOT

NEW = "mnist_copy"
FASHION = "fashion_cnn"
DECLARATION = """\
DATA = data.ImageSet(
    "fashion_mnist", "Fashion-MNIST", image_size=(28, 28), channels=1, sample="digits"
)
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of the project in which mnist_cnn was copied under two new names."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("recipes", "common", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "constraints.txt", "README.md", "Makefile"):
        shutil.copy(ROOT / name, folder / name)
    for name in (NEW, FASHION):
        new = folder / "recipes" / name
        shutil.copytree(folder / "recipes/mnist_cnn", new)
        for file in ("results.json", "tuning.json"):
            (new / file).unlink(missing_ok=True)
        readme = new / "README.md"
        readme.write_text(readme.read_text().replace("mnist_cnn", name))
    train = folder / "recipes" / FASHION / "train.py"
    text, changes = re.subn(
        r"^DATA = .*?\)\n\n", f"{DECLARATION}\n", train.read_text(), flags=re.M | re.S
    )
    assert changes == 1
    train.write_text(text)
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
    # What the make that runs these tests was given (ARGS) is not for the ones below.
    outer = ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "ARGS")
    how = {"cwd": clone, "capture_output": True, "text": True}
    how["env"] = {name: value for name, value in os.environ.items() if name not in outer}
    done = subprocess.run(["make", "help"], **how)
    listed = done.stdout.split("NAME is a folder of recipes/:")[1].split()
    assert NEW in listed
    assert "mnist_cnn" in listed
    for verb in ("train", "results", "tune", "sweep"):
        done = subprocess.run(["make", "-n", f"{verb}-{NEW}"], **how)
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


def test_its_data_set_is_one_of_those_that_are_fetched(clone):
    done = run(clone, "-m", "common.cli.data", "--help")
    assert done.returncode == 0, done.stderr
    assert "cifar10, fashion_mnist, imdb_reviews, mnist" in " ".join(done.stdout.split())
    nowhere = str(clone / "nowhere")
    done = run(clone, "-m", "common.cli.data", "fashion_mnist", "--data-dir", nowhere)
    assert done.returncode == 1
    assert "fashion_mnist: no prepared files of fashion_mnist in" in done.stderr
    done = run(clone, "-m", "recipes", "train", FASHION, "--data-dir", nowhere)
    assert done.returncode == 1
    assert "no prepared files of fashion_mnist in" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", [NEW, FASHION])
def test_contract_tests_run_over_it(clone, name):
    done = run(clone, "-m", "pytest", "-q", "tests/test_contract.py", "-k", name)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout
    assert "failed" not in done.stdout


@pytest.mark.real_data
def test_the_new_data_set_is_read(clone):
    if not (Path(os.environ["TFDS_DATA_DIR"]) / "fashion_mnist").is_dir():
        pytest.skip("real data: TFDS_DATA_DIR holds no fashion_mnist")
    program = (
        "from common.data import Source\n"
        "from common.runs import registry\n"
        f"recipe = registry.load({FASHION!r})\n"
        "splits = recipe.load_data(recipe.PRESETS['article'], Source())\n"
        "info = splits.info\n"
        "print(info.name, info.label, info.class_names[0], *info.counts.values(), *splits.test.x.shape)"
    )
    done = run(clone, "-c", program)
    assert done.returncode == 0, done.stderr
    expected = "fashion_mnist Fashion-MNIST T-shirt/top 51000 9000 10000 10000 28 28 1"
    assert done.stdout.strip() == expected
