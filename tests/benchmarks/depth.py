"""Error of plain and residual networks while they train: the picture of He et al. 2015 (figure 6).

    python tests/benchmarks/depth.py RUN RUN ... --output FOLDER

Reads run folders of cifar10_resnet, finished or not, and writes depth.json and depth.png to FOLDER.
Networks that a depth.json there holds already stay, unless a run of the same is given.
"""

import argparse
import csv
import json
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
LAST = 10
"""Epochs that the table averages over."""


def read(folder):
    """Returns a run's network and its errors, in percent, after each epoch."""
    config = json.loads((folder / "config.json").read_text())["config"]
    environment = json.loads((folder / "environment.json").read_text())
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        "depth": 6 * config["blocks_per_stage"] + 2,
        "residual": config["residual"],
        "seed": config["seed"],
        "epochs": config["epochs"],
        "training": [round(100 - 100 * float(row["accuracy"]), 2) for row in rows],
        "validation": [round(100 - 100 * float(row["val_accuracy"]), 2) for row in rows],
        "device": ", ".join(environment["accelerators"]) or environment["cpu"],
        "data": environment["data"]["label"],
    }


def table(runs):
    """Returns the Markdown table."""
    lines = [
        f"| network | epochs | training error, %, mean of the last {LAST} | validation error, % |",
        "|---|---|---|---|",
    ]
    for run in runs:
        done = len(run["training"])
        epochs = str(done) if done == run["epochs"] else f"{done} of {run['epochs']}, not finished"
        errors = [statistics.fmean(run[split][-LAST:]) for split in ("training", "validation")]
        name = f"{'ResNet' if run['residual'] else 'plain'}-{run['depth']}"
        lines.append(f"| {name} | {epochs} | {errors[0]:.2f} | {errors[1]:.2f} |")
    machines = ", ".join(dict.fromkeys(run["device"] for run in runs))
    data = ", ".join(dict.fromkeys(run["data"] for run in runs))
    lines += ["", f"One seed each; training error on augmented images. {data}. {machines}."]
    return "\n".join(lines)


def draw(runs, path):
    """Writes the picture: plain networks left, residual ones right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 3.6), dpi=130, layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    shades = dict(
        zip(sorted({run["depth"] for run in runs}), ("#d98200", "#12467f", "#8a97a6"), strict=False)
    )
    for axes, residual in zip(panels, (False, True), strict=True):
        for run in (run for run in runs if run["residual"] == residual):
            epochs, color = range(1, len(run["training"]) + 1), shades[run["depth"]]
            axes.plot(epochs, run["training"], color=color, lw=0.8, ls="--")
            axes.plot(
                epochs, run["validation"], color=color, lw=1.3, label=f"{run['depth']} layers"
            )
        axes.set_title("with shortcuts" if residual else "plain", loc="left", fontsize=11)
        axes.set_xlabel("epochs")
        axes.set_xlim(0, max(run["epochs"] for run in runs))
        axes.set_ylim(0, 50)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
    panels[0].set_ylabel("error, %: validation, training (dashed)")
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    held = arguments.output / "depth.json"
    runs = json.loads(held.read_text()) if held.exists() else []
    runs = {(run["residual"], run["depth"]): run for run in [*runs, *map(read, arguments.runs)]}
    runs = [runs[network] for network in sorted(runs)]
    arguments.output.mkdir(parents=True, exist_ok=True)
    held.write_text(json.dumps(runs) + "\n")
    draw(runs, arguments.output / "depth.png")
    print(table(runs))


if __name__ == "__main__":
    main()
