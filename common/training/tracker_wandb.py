"""Weights & Biases. Offline, unless WANDB_MODE says something else: `wandb sync` sends what is there.

WANDB_PROJECT names the project (else the recipe's name). Its own logging of machine, code and output is
off. What is offline cannot be asked which epochs it has, so a process that goes on with a run writes all
of it again, in place of what was there.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.training.tracked import FINISHED, Subject


class WandB:
    """A run of W&B. The step is the epoch; the id stays the same where a run is resumed."""

    title = "W&B"

    def open(self, subject: Subject, held: dict[str, Any]) -> None:
        """As of Tracker."""
        os.environ.setdefault("WANDB_MODE", "offline")
        import wandb

        subject.folder.mkdir(parents=True, exist_ok=True)
        self.offline = os.environ["WANDB_MODE"] == "offline"
        held["id"] = self.id = subject.key
        earlier = [*subject.folder.glob(f"wandb/offline-run-*-{self.id}")]
        self.run = wandb.init(
            id=self.id,
            resume=None if self.offline else "allow",
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
        self.place = Path(self.run.settings.sync_dir)
        for folder in earlier:
            if folder.name != self.place.name:
                shutil.rmtree(folder, ignore_errors=True)
        self._next = self.run.starting_step

    def log(self, rows: Sequence[Mapping[str, float]]) -> None:
        """As of Tracker."""
        for row in rows:
            epoch = int(row["epoch"])
            if epoch >= self._next:
                self.run.log(dict(row), step=epoch, commit=True)
                self._next = epoch + 1

    def close(self, figures: Mapping[str, float], files: Sequence[Path], status: str) -> None:
        """As of Tracker."""
        import wandb

        for name, value in figures.items():
            self.run.summary[name] = value
        if files:
            artifact = wandb.Artifact(f"results-{self.id}", type="results")
            for file in files:
                artifact.add_file(str(file), policy="immutable", skip_cache=True)
            self.run.log_artifact(artifact)
        self.run.finish(exit_code=0 if status == FINISHED else 1)

    def where(self) -> str:
        """As of Tracker."""
        return f"wandb sync {self.place}" if self.offline else str(self.run.url or self.place)


def make() -> WandB:
    """Returns a new one."""
    return WandB()
