"""The environment of a run: versions, machine, commit. It is written beside every result."""

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.basics.backend import accelerators
from common.basics.errors import RecipeError
from common.basics.files import read_json, write_json_atomic
from common.basics.passwords import hide
from common.basics.processor import cpu_count, cpu_name
from common.runs import config as configuration

PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy", "scikit-learn", "tensorflow-datasets")


def versions() -> dict[str, str]:
    """Returns the versions of the packages that a result depends on, by name; nothing is imported."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """Returns the commit of the code, with `+` if tracked files were changed; None outside a clone."""
    folder = Path(__file__).parents[2]

    def git(*args):
        return subprocess.run(
            ["git", "-C", str(folder), *args],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
            # `git status` would lock the index, and a git command of the user would fail meanwhile.
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        # Only code counts: result files change while a series runs.
        changed = git("status", "--porcelain", "-uno", "--", "*.py", "constraints.txt")
    except (OSError, subprocess.TimeoutExpired):
        return None
    if head.returncode != 0:
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def command() -> str:
    """Returns the command line of this process as a person types it in a clone, without passwords."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        program = Path(program.parent.name)
    elif program.name == "train.py":
        return _joined(["python", f"recipes/{program.parent.name}/train.py", *sys.argv[1:]])
    return _joined([program.name, *sys.argv[1:]])


def _joined(words):
    return shlex.join(hide(word, word=True) for word in words)


def without_passwords(command: str) -> str:
    """Returns a recorded command line with `***` for each password in it."""
    try:
        words = shlex.split(command)
    except ValueError:
        return hide(command)
    return command if all(hide(word, word=True) == word for word in words) else _joined(words)


def describe(seed: int, data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the content of `environment.json`.

    Args:
        seed: The training seed.
        data: `DataInfo.to_dict()` of the data trained on.
    """
    import keras

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cpu_count": cpu_count(),
        "accelerators": accelerators(),
        "backend": keras.backend.backend(),
        "versions": versions(),
        "commit": commit(),
        "seed": seed,
        "command": command(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "data": data,
    }


def record(path: Path, seed: int, data: Mapping[str, Any]) -> None:
    """Writes environment.json of a run.

    If a run is continued with another commit or other versions, they are added under `resumed`.

    Args:
        path: The file.
        seed: The run's seed.
        data: The data trained on, as `DataInfo.to_dict()`.

    Raises:
        RecipeError: The run was started on data with another fingerprint, or under another Keras
            backend.
    """
    now = describe(seed, data)
    if not path.exists():
        write_json_atomic(path, now)
        return
    held = read_json(path, "environment")
    fingerprint = data_of(path)["fingerprint"]
    if fingerprint != data["fingerprint"]:
        raise RecipeError(
            f"the data changed since {path.parent} was started "
            f"(fingerprint {fingerprint} -> {data['fingerprint']}); --overwrite starts again"
        )
    if held.get("backend") != now["backend"]:
        # The weights would fit, but the random numbers would not. The result would be that of neither
        # backend.
        raise RecipeError(
            f"{path.parent} was started with the Keras backend {held.get('backend')}, and this "
            f"is {now['backend']}: set KERAS_BACKEND={held.get('backend')} to go on, or "
            "--overwrite to start again"
        )
    changed = configuration.differences(held.get("versions") or {}, now["versions"])
    if changed or held.get("commit") != now["commit"]:
        resumed = {"started": now["started"], "commit": now["commit"], "versions": changed}
        held["resumed"] = [*held.get("resumed", []), resumed]
        write_json_atomic(path, held)


def data_of(path: Path) -> dict[str, Any]:
    """Returns what an environment.json records about the data trained on (`DataInfo.to_dict()`).

    Raises:
        RecipeError: The file is absent or damaged.
    """
    data = read_json(path, "environment").get("data")
    wanted = {"kind", "class_names", "fingerprint"}
    if not isinstance(data, dict) or not wanted <= data.keys():
        raise RecipeError(
            f"{path} is damaged: it lacks 'data' with {', '.join(sorted(wanted))}; restore it from "
            "a copy, or train again with --overwrite"
        )
    return data
