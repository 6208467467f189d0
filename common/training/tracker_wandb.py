"""Weights & Biases. Offline, unless WANDB_MODE says something else: `wandb sync` sends what is there.

WANDB_PROJECT names the project (else the recipe's name). Its own logging of machine, code and output is
off.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.training.tracked import FINISHED, Subject


class WandB:
    """A run of W&B. The step is the epoch; the id stays the same where a run is resumed."""

    title = "W&B"

    def open(self, subject: Subject, held: dict[str, Any]) -> None:
        """As of Tracker. Every process adds a folder offline; all of them sync into one run."""
        os.environ.setdefault("WANDB_MODE", "offline")
        import wandb

        subject.folder.mkdir(parents=True, exist_ok=True)
        held.setdefault("id", subject.key)
        self.held = held
        self.run = wandb.init(
            id=held["id"],
            resume="allow" if os.environ["WANDB_MODE"] == "online" else None,
            project=os.environ.get("WANDB_PROJECT", subject.group),
            name=subject.name,
            group=subject.parent or (subject.key if subject.kind == "sweep" else None),
            job_type=subject.kind,
            dir=str(subject.folder),
            config=dict(subject.parameters),
            # Trials are logged beside their search.
            reinit="create_new",
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                disable_code=True,
                x_disable_stats=True,
                x_disable_machine_info=True,
                x_save_requirements=False,
                init_timeout=30,
            ),
        )

    def log(self, rows: Sequence[Mapping[str, float]]) -> None:
        """As of Tracker. What is offline cannot be asked: the last epoch is kept in the run folder."""
        for row in rows:
            epoch = int(row["epoch"])
            if epoch > self.held.get("epoch", 0):
                self.run.log(dict(row), step=epoch)
                self.held["epoch"] = epoch

    def close(self, figures: Mapping[str, float], files: Sequence[Path], status: str) -> None:
        """As of Tracker."""
        import wandb

        for name, value in figures.items():
            self.run.summary[name] = value
        if files:
            artifact = wandb.Artifact(f"results-{self.held['id']}", type="results")
            for file in files:
                artifact.add_file(str(file), policy="immutable", skip_cache=True)
            self.run.log_artifact(artifact)
        self.place = str(Path(self.run.settings.sync_dir))
        self.run.finish(exit_code=0 if status == FINISHED else 1)

    def where(self) -> str:
        """As of Tracker."""
        if os.environ["WANDB_MODE"] == "offline":
            return f"{self.place} (wandb sync {Path(self.place).parent}/*run-*-{self.held['id']})"
        return str(self.run.url or self.place)


def make() -> WandB:
    """Returns a new one."""
    return WandB()
