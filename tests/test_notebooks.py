"""Companion notebooks: no model code, outputs that belong to the code, and they run."""

import ast
import importlib
import json
import re
from pathlib import Path

import keras
import pytest

from common.cli.notebook_execution import KEY, code_hash
from common.runs import registry
from common.studies.study import of_recipe
from tests.conftest import ROOT

FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
# Names whose use would define a network in a notebook.
MODEL_CODE = {"Sequential", "Model", "Input", "compile", "fit", "train_on_batch", "GradientTape"}


def read(name):
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def code_cells(notebook):
    return ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]


def test_every_recipe_has_one():
    assert {f"{name}.ipynb" for name in registry.names()} <= set(NOTEBOOKS)
    assert "compare_searches.ipynb" in NOTEBOOKS
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in NOTEBOOKS:
        assert f"({name})" in index, f"{name} is missing from notebooks/README.md"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_holds_no_model_code(name):
    for source in code_cells(read(name)):
        for node in ast.walk(ast.parse(source)):
            assert not isinstance(node, ast.ClassDef), "a notebook explains, the recipe computes"
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                # TextEncoder.fit counts words, TableEncoder.fit values; neither trains anything.
                if called == "fit" and "Encoder" in ast.unparse(node.func):
                    continue
                assert called not in MODEL_CODE, f"{called}(...) is model code"
                layer = called[:1].isupper() and hasattr(keras.layers, called)
                assert not layer, f"{called}(...) is a layer"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_what_it_imports_is_there(name):
    for source in code_cells(read(name)):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in (
                "common",
                "recipes",
            ):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    if not hasattr(module, alias.name):
                        importlib.import_module(f"{node.module}.{alias.name}")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_has_exercises_with_hidden_answers(name):
    text = "\n".join(
        "".join(c["source"]) for c in read(name)["cells"] if c["cell_type"] == "markdown"
    )
    answers = re.findall(
        r"<details>\s*<summary>Answer</summary>\s*(.+?)</details>", text, re.DOTALL
    )
    assert len(answers) >= 3
    assert text.count("<details>") == text.count("</details>") == len(answers)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_opens_with_a_cell_that_works_from_a_clone(name):
    first = code_cells(read(name))[0]
    assert "sys.path.insert(0, str(Path.cwd().parent))" in first
    assert re.search(r'start\("(a|\d+) minutes?"(, ("\d+ minutes"|full=None))?\)', first)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_its_outputs_are_those_of_its_code(name):
    notebook = read(name)
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    made = notebook["metadata"].get(KEY)
    assert made, f"never executed: make notebooks (notebooks/{name})"
    assert made["code"] == code_hash(notebook), f"outputs are stale: make notebooks ({name})"
    outputs = [o for c in notebook["cells"] if c["cell_type"] == "code" for o in c["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    text = json.dumps(notebook)
    # Paths of whoever executed it say nothing to a reader.
    assert str(Path.home()) not in text
    assert str(ROOT) not in text
    # "decoding ... from FOLDER, once" is of the first start on a machine.
    assert "tensorflow_datasets/" not in text


# Notebooks that look for what only whole trainings show: a problem solved, half of the answers right.
WHOLE = {"lag_rnn.ipynb", "spoken_digit_rnn.ipynb"}


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs(name, tmp_path, monkeypatch):
    pytest.importorskip("nbclient", reason="notebooks need the extra [notebooks]")
    from common.cli.notebook_execution import execute

    monkeypatch.setenv("NOTEBOOK_DATA", "sample")
    if name not in WHOLE:
        monkeypatch.setenv("NOTEBOOK_EPOCHS", "2")
    execute(FOLDER / name, tmp_path / name)
    executed = json.loads((tmp_path / name).read_text(encoding="utf-8"))
    for cell in executed["cells"]:
        cell["source"] = "".join(cell["source"])
    assert executed["metadata"][KEY]["code"] == code_hash(executed)


def test_a_picture_says_its_title_to_those_who_cannot_see_it(monkeypatch):
    display = pytest.importorskip("IPython.display", reason="needs the extra [notebooks]")
    from common.cli.notebook import lines, show
    from common.report.drawing import to_png

    shown = []
    monkeypatch.setattr(display, "display", shown.append)
    figure = lines({"loss": [3.0, 2.0, 1.0]}, "epoch", "loss", "The loss falls; " + "slowly " * 30)
    show(figure)
    show(to_png(figure))
    show(figure, alt="A line")
    assert shown[0].alt.startswith("The loss falls; slowly slowly")
    assert "\n" not in shown[0].alt
    assert [image.alt for image in shown[1:]] == [shown[0].alt, "A line"]
    assert shown[0].width == 672


def test_the_notebook_of_claims_has_every_study_that_tests_one():
    code = "\n".join(code_cells(read("claims.ipynb")))
    tested = [
        (name, title)
        for name in registry.names()
        for title, study in of_recipe(name).items()
        if study.claims
    ]
    assert len(tested) > 5
    for name, title in tested:
        assert f'study("{name}", "{title}")' in code, f"claims.ipynb lacks {title} of {name}"
