"""Search methods on trainings that really happen: `recipes sweep` on 3,000 real images.

    TFDS_DATA_DIR=... python tests/benchmarks/live.py FOLDER [--names mnist_cnn,cifar10_cnn]

2,000 images are trained on, 1,000 are for validation, 2,000 of the test split score what each search has
chosen, trained again with a new seed. All methods spend the same epochs. FOLDER keeps everything; the
same command goes on where it ended, and writes results/live_NAME.json and .png beside this file.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
NAMES = "mnist_cnn,cifar10_cnn"
VALIDATION = 1 / 3


def write_part(name, path, train=3000, test=2000):
    """Writes part of a recipe's real data as .npz, unless it is there; always the same examples."""
    from common.data import Source
    from common.runs import registry

    if path.exists():
        return
    module = registry.load(name)
    splits = module.load_data(module.PRESETS["best"], Source("full"))
    random = np.random.default_rng(0)
    train = random.choice(len(splits.train.y), train, replace=False)
    test = random.choice(len(splits.test.y), test, replace=False)
    arrays = {"x_train": splits.train.x[train], "y_train": splits.train.y[train]}
    arrays |= {"x_test": splits.test.x[test], "y_test": splits.test.y[test]}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)


def text(result):
    """Returns the Markdown of a comparison."""
    from common.tuning import measures
    from common.tuning.contest import HEADS, shown

    lines = [
        f"`{result['recipe']}`: {result['budget_epochs']} epochs a search ({result['trials']} full "
        f"trainings), {result['seeds']} searches each. {result['data']}",
        "",
        f"| {' | '.join(HEADS)} |",
        "|---" * len(HEADS) + "|",
    ]
    for row in result["rows"]:
        cells = shown(row, measures.headline_of(result))
        lines.append(f"| {' | '.join(cells[head] for head in HEADS)} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--names", default=NAMES)
    parser.add_argument("--trials", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()
    results = Path(__file__).parent / "results"
    for name in arguments.names.split(","):
        data = arguments.folder / f"{name}.npz"
        write_part(name, data)
        contest = arguments.folder / f"contest-{name}"
        command = [sys.executable, "-m", "recipes", "sweep", name, "--data", str(data)]
        command += ["--trials", str(arguments.trials), "--seeds", str(arguments.seeds)]
        command += ["--epochs", str(arguments.epochs), "--sweep-dir", str(contest)]
        command += ["--validation-fraction", str(VALIDATION)]
        if code := subprocess.run(command).returncode:
            raise SystemExit(code)
        result = json.loads((contest / "contest.json").read_text())
        result["trials"] = arguments.trials
        result["data"] = (
            "2,000 images of the real set to train on, 1,000 to choose by, 2,000 of its test split."
        )
        (results / f"live_{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        shutil.copy(contest / "contest.png", results / f"live_{name}.png")
        print(f"\n{text(result)}")


if __name__ == "__main__":
    main()
