"""Supernets rank all 1,024 networks: what networks inherit, and what it has cost.

    python -m recipes.cifar10_nas.rank            five supernets; goes on where it was

After each, supernets.npz beside this file is written again:

    inherited   float32 (supernets, 1024)   validation accuracy, 0 to 1, with inherited weights
    training    float32 (supernets,)        CPU seconds of training the supernet
    scoring     float32 (supernets,)        CPU seconds of scoring all networks
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.basics.errors import RecipeError, UsageError

from . import space
from .table import HERE, Settings, write_arrays
from .train import Config, load_data

if TYPE_CHECKING:
    import numpy as np

    from common.data.types import Splits

SUPERNETS = HERE / "supernets.npz"
COMMAND = "python -m recipes.cifar10_nas.rank"
EPOCHS = 20
"""Of a supernet: a step trains each operation once in four."""
SCORED = 1000
"""Validation images by which networks are ranked."""


def rank(config: Config, splits: Splits) -> dict[str, Any]:
    """Trains a supernet and scores all networks by the weights that they inherit.

    Args:
        config: `seed`, `width`, `flip`, `batch_size` and `epochs` are those of its training.
        splits: Data as `load_data` returns them; the test split is not touched.

    Returns:
        `inherited`, float32 `(1024,)`, and the CPU seconds `training` and `scoring`.
    """
    from common.basics import backend

    from .supernet import build_supernet, score, train_supernet

    begun = time.process_time()
    backend.seed_everything(config.seed)
    model = build_supernet(config, len(splits.info.class_names))
    train_supernet(model, config, splits)
    trained = time.process_time()
    inherited = score(model, splits.val.x[:SCORED], splits.val.y[:SCORED])
    scored = time.process_time()
    backend.clear()
    return {"inherited": inherited, "training": trained - begun, "scoring": scored - trained}


def read(path: Path, settings: dict[str, Any] | None = None) -> dict[str, np.ndarray]:
    """Returns the arrays of supernets.npz.

    Args:
        path: The file.
        settings: What they must have been trained with; None: anything.

    Raises:
        RecipeError: There is no such file.
        UsageError: Its settings are others.
    """
    import numpy as np

    if not path.exists():
        raise RecipeError(f"{path.name} is missing: run `{COMMAND}`")
    with np.load(path) as held:
        found = dict(held)
    was = json.loads(str(found.pop("settings")))
    if settings is not None and was != settings:
        raise UsageError(f"{path} was made with {was}, wanted: {settings}; delete it first")
    return found


def main(words: Sequence[str] | None = None) -> None:
    """Trains the supernets that are missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="supernets")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--examples", type=int, default=Settings.examples)
    parser.add_argument("--data", default="full", help="full, sample or a path")
    parser.add_argument("--output", type=Path, default=SUPERNETS)
    chosen: Any = parser.parse_args(words)
    if chosen.seeds < 1:
        raise UsageError("--seeds must be at least 1")
    import numpy as np

    from common.basics import backend
    from common.data import Source

    settings = Settings(chosen.examples, chosen.epochs, chosen.data)
    found = read(chosen.output, asdict(settings)) if chosen.output.exists() else {}
    backend.start()
    config = settings.config(space.network(0), 0)
    splits = load_data(config, Source(chosen.data))
    for seed in range(len(found.get("inherited", ())), chosen.seeds):
        one = rank(replace(config, seed=seed), splits)
        for name, value in one.items():
            rows = [*found.get(name, ()), value]
            found[name] = np.array(rows, "float32")
        write_arrays(chosen.output, settings, found)
        best = " ".join(space.network(int(one["inherited"].argmax())))
        print(
            f"supernet {seed + 1} of {chosen.seeds}: {one['training']:.0f} CPU s of training, "
            f"{one['scoring']:.0f} of scoring; first: {best}",
            flush=True,
        )


if __name__ == "__main__":
    try:
        main()
    except RecipeError as error:
        raise SystemExit(f"error: {error}") from None
