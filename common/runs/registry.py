"""Recipes are found by listing folders: `recipes/<name>/train.py`. No list to edit."""

import ast
import importlib
from pathlib import Path

from common.basics.errors import UsageError, near_match


def recipes_folder():
    """Returns the folder of the `recipes` package."""
    return Path(importlib.import_module("recipes").__file__).parent


def folder(name):
    """Returns the folder of a recipe: below any of the places that the package has."""
    places = map(Path, importlib.import_module("recipes").__path__)
    return next(place / name for place in places if (place / name / "train.py").is_file())


def names():
    """Returns the names of all recipes, sorted."""
    return sorted(path.parent.name for path in recipes_folder().glob("*/train.py"))


def exists(name):
    """Returns whether there is a recipe of that name."""
    # A name, not a path: one with separators would look elsewhere.
    places = importlib.import_module("recipes").__path__
    return name.isidentifier() and any((Path(p) / name / "train.py").is_file() for p in places)


def check(name):
    """Returns the name if it is a recipe.

    Raises:
        UsageError: It is not; the near match is named.
    """
    known = names()
    if not exists(name):
        raise UsageError(
            f"unknown recipe '{name}'{near_match(name, known)} (`recipes list` shows all)"
        )
    return name


def load(name):
    """Imports and returns a recipe's `train` module (Config, PRESETS, load_data, train)."""
    return importlib.import_module(f"recipes.{check(name)}.train")


def load_model_module(name):
    """Imports and returns a recipe's `model` module (build_model); imports Keras."""
    return importlib.import_module(f"recipes.{check(name)}.model")


def load_part(name, part):
    """Imports and returns another module of a recipe, e.g. `tune` or `studies`."""
    return importlib.import_module(f"recipes.{check(name)}.{part}")


def summary(name):
    """Returns the first line of a recipe's card, without importing the recipe."""
    source = (folder(name) / "train.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").splitlines()[0]
