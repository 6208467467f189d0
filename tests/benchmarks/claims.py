"""Claims that benchmarks and arithmetic answer, for the table of claims in the root README.

    python -m tests.benchmarks.claims

Reads the replayed searches in results/ (search_replay.py) and writes results/claims.json. `make claims`
puts these claims below those that studies answer.
"""

import json
import statistics
from pathlib import Path

from common.basics.files import write_json_atomic
from common.studies import differences

FOLDER = Path(__file__).parent / "results"
TABLES = ("cifar10_small", "nasbench201_cifar10", "hpobench_mlp_vehicle")
SIDES = (32, 64, 128)
HERE = "tests/benchmarks/README.md"


def random_or_grid(replays):
    """Returns the row on random search beside grid search.

    Args:
        replays: What search_replay.py found, by the name of the table: regrets of each search after each
            unit of its budget.
    """
    words = {differences.WORSE: "holds", differences.BETTER: "does not hold"}
    parts, verdicts, count = [], {}, 0
    for name, replay in replays.items():
        # Over the whole budget: a method that finds good points late has more of it.
        regrets = {
            method: [statistics.fmean(curve) for curve in replay["methods"][method]["regrets"]]
            for method in ("random", "grid")
        }
        found = differences.paired(regrets["random"], regrets["grid"])
        low, high = found.interval
        parts.append(f"{name}: {100 * found.mean:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})")
        verdict = words.get(found.verdict(larger_is_better=False), "not shown")
        verdicts.setdefault(verdict, []).append(name)
        count = found.counts[0]
    if len(verdicts) == 1:
        (verdict,) = verdicts
    else:
        verdict = "; ".join(f"{each} on {', '.join(names)}" for each, names in verdicts.items())
    return {
        "claim": "random search is generally slower than grid search",
        "article": "Architectures and tuning",
        "link": f"[searches on tables]({HERE}#searches)",
        "data": "tables of trained configurations",
        "n": count,
        "difference": "random against grid, points of regret in the mean over the budget: "
        + "; ".join(parts),
        "verdict": verdict,
    }


def parameters(side, filters, units, channels=3, classes=10):
    """Returns the parameters of 3 x 3 convolutions, each pooled, and of two dense layers behind Flatten.

    Args:
        side: Height and width of the images, in pixels.
        filters: Filters of each convolution.
        units: Units of the first dense layer.
        channels: Channels of the images.
        classes: Units of the second one.
    """
    convolutions, before = 0, channels
    for count in filters:
        convolutions += count * (9 * before + 1)
        # Padded, so that only the pooling makes it smaller.
        before, side = count, side // 2
    return convolutions, (side * side * before + 1) * units + (units + 1) * classes


def parameters_by_size():
    """Returns the row on how parameters grow with the image."""
    from recipes.cifar10_cnn.train import PRESETS

    config = PRESETS["article"]
    counts = {side: parameters(side, config.filters, config.dense_units) for side in SIDES}
    shown = "; ".join(
        f"{side} pixels: {convolutions:,} + {dense:,}"
        for side, (convolutions, dense) in counts.items()
    )
    return {
        "claim": "the number of parameters of a CNN scales quadratically with the input size",
        "article": "Improving networks",
        "link": "[claims.ipynb](notebooks/claims.ipynb)",
        "data": "cifar10_cnn, preset `article`",
        "n": "counted",
        "difference": f"convolutions + dense layers, by the side of the image: {shown}",
        "verdict": "holds for dense layers behind Flatten; does not hold for convolutions",
    }


def rows():
    """Returns all rows, as they are in claims.json."""
    replays = {name: json.loads((FOLDER / f"replay_{name}.json").read_text()) for name in TABLES}
    return [random_or_grid(replays), parameters_by_size()]


if __name__ == "__main__":
    write_json_atomic(FOLDER / "claims.json", {"claims": rows()})
