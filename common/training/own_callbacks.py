"""The user's own Keras callbacks: `--callbacks MODULE:FACTORY`."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

import keras

from common.basics.errors import UsageError, near_match
from common.runs.run import Run


def of(run: Run) -> list[keras.callbacks.Callback]:
    """Returns the callbacks that a run's `--callbacks` makes, always the same objects.

    The factory is called with the run, once in each process: before the data is read where the command
    line trains. `run.directory` and `run.config` are there; own data may still change `run.config`.

    Raises:
        UsageError: There is no such module or factory, or it returns something else.
    """
    if run.is_trial or not run.options.callbacks:
        return []
    if "callbacks" not in run.companions:
        run.companions["callbacks"] = _made(load(run.options.callbacks), run)
    found: list[keras.callbacks.Callback] = run.companions["callbacks"]
    return found


def load(text: str) -> Callable[[Run], Any]:
    """Returns the factory that `module:factory` names. Modules in the current folder are found, too.

    Raises:
        UsageError: It cannot be imported, or cannot be called.
    """
    name, colon, attribute = text.partition(":")
    if not (name and colon and attribute):
        raise UsageError(f"--callbacks needs MODULE:FACTORY, e.g. my_callbacks:make, got '{text}'")
    folder = os.getcwd()
    if folder not in sys.path:
        # Last, so that no file there hides a library.
        sys.path.append(folder)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise UsageError(f"--callbacks {text}: {name} needs {error.name}: {error}") from error
        raise UsageError(
            f"--callbacks {text}: there is no module '{name}', neither in {folder} nor installed"
        ) from error
    except Exception as error:
        raise UsageError(
            f"--callbacks {text}: {name} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    factory: Callable[[Run], Any] | None = getattr(module, attribute, None)
    if factory is None:
        own = [each for each in vars(module) if not each.startswith("_")]
        raise UsageError(
            f"--callbacks {text}: {module.__file__} has no '{attribute}'{near_match(attribute, own)}"
        )
    if not callable(factory):
        raise UsageError(
            f"--callbacks {text}: expected a function of the run, got {type(factory).__name__}"
        )
    return factory


def _made(factory, run):
    text = run.options.callbacks
    try:
        made = factory(run)
    except Exception as error:
        raise UsageError(
            f"--callbacks {text}: its call with the run failed: {type(error).__name__}: {error}"
        ) from error
    found = list(made) if isinstance(made, (list, tuple)) else [made]
    for each in found:
        if not isinstance(each, keras.callbacks.Callback):
            raise UsageError(
                f"--callbacks {text}: expected a keras.callbacks.Callback or a list of them, got "
                f"{each if isinstance(each, type) else type(each).__name__}"
            )
    return found
