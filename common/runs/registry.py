"""Finds recipes by listing folders: `recipes/<name>/train.py`. There is no list to edit."""

import ast
import importlib
from pathlib import Path
from types import ModuleType

from common.basics.errors import RecipeError, UsageError, near_match


def recipes_folder() -> Path:
    """Returns the folder of the `recipes` package."""
    file = importlib.import_module("recipes").__file__
    assert file is not None  # It has an __init__.py.
    return Path(file).parent


def folder(name: str) -> Path:
    """Returns the folder of a recipe: in any of the folders that the package `recipes` has."""
    places = map(Path, importlib.import_module("recipes").__path__)
    return next(place / name for place in places if (place / name / "train.py").is_file())


def names() -> list[str]:
    """Returns the names of all recipes, sorted."""
    return sorted(path.parent.name for path in recipes_folder().glob("*/train.py"))


def exists(name: str) -> bool:
    """Returns whether there is a recipe of that name."""
    # A path is no name: with separators in it, another folder would be searched.
    places = importlib.import_module("recipes").__path__
    return name.isidentifier() and any((Path(p) / name / "train.py").is_file() for p in places)


def check(name: str) -> str:
    """Returns the name if it is a recipe.

    Raises:
        UsageError: It is not. The message names a near match.
    """
    known = names()
    if not exists(name):
        raise UsageError(
            f"unknown recipe '{name}'{near_match(name, known)} (`recipes list` shows all)"
        )
    return name


def load(name: str) -> ModuleType:
    """Imports and returns a recipe's `train` module (Config, PRESETS, load_data, train)."""
    return importlib.import_module(f"recipes.{check(name)}.train")


def load_model_module(name: str) -> ModuleType:
    """Imports and returns a recipe's `model` module (build_model), and Keras with it."""
    return load_part(name, "model")


def load_part(name: str, part: str) -> ModuleType:
    """Imports and returns another module of a recipe, e.g. `tune` or `studies`.

    Raises:
        RecipeError: The recipe has no such file.
    """
    file = folder(check(name)) / f"{part}.py"
    if not file.is_file():
        raise RecipeError(
            f"recipes/{name}/{part}.py is missing; recipes/README.md says what a recipe's folder holds"
        )
    return importlib.import_module(f"recipes.{name}.{part}")


def summary(name: str) -> str:
    """Returns the first line of the docstring of a recipe's train.py, without importing the recipe."""
    source = (folder(name) / "train.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").splitlines()[0]
