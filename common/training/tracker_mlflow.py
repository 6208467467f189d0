"""MLflow by plain calls of its client: nothing is logged that this project did not name.

MLFLOW_TRACKING_URI says where to, MLFLOW_EXPERIMENT_NAME to which experiment (else the recipe's name).
"""

import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.basics.passwords import hide
from common.training.tracked import Subject

KEY = "recipes.key"
# As many as its servers take in one call.
BATCH = 100
LONGEST_VALUE = 500


class MLflow:
    """A run of MLflow. Metrics have the epoch as their step."""

    title = "MLflow"

    def open(self, subject: Subject, held: dict[str, Any]) -> None:
        """As of Tracker: the run is found by its key, else made."""
        for name, value in {
            # A server that does not answer must not hold a training up for minutes.
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_LOGGING_LEVEL": "WARNING",
        }.items():
            os.environ.setdefault(name, value)
        import mlflow

        logging.getLogger("alembic").setLevel(logging.WARNING)
        self.uri = mlflow.get_tracking_uri()
        self.client = mlflow.MlflowClient(self.uri)
        self.experiment = self._experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", subject.group))
        self._have: dict[str, set[int]] = {}
        found = self._find(subject.key)
        self.new = found is None
        if found is None:
            tags = {KEY: subject.key, "recipe": subject.group, "kind": subject.kind}
            if subject.parent is not None:
                parent = self._find(subject.parent)
                tags |= {} if parent is None else {"mlflow.parentRunId": parent.info.run_id}
            run = self.client.create_run(self.experiment, tags=tags, run_name=subject.name)
            first = self._find(subject.key) if subject.kind == "sweep" else None
            if first is not None and first.info.run_id != run.info.run_id:
                # Two machines began one search at a time.
                self.client.delete_run(run.info.run_id)
                run = first
            self.id = run.info.run_id
            self.parameters: Mapping[str, str] = {}
            self.figures: Mapping[str, float] = {}
        else:
            self.id = found.info.run_id
            self.parameters, self.figures = found.data.params, found.data.metrics
            self.client.update_run(self.id, status="RUNNING")
        held.update(id=self.id, uri=hide(self.uri))
        self._log_parameters(subject.parameters)

    def _experiment(self, name):
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return found.experiment_id
        try:
            return self.client.create_experiment(name)
        except MlflowException:  # Another process was faster.
            found = self.client.get_experiment_by_name(name)
            if found is None:
                raise
            return found.experiment_id

    def _find(self, key):
        """Returns the run of a key, the earliest if several processes made one at a time; or None."""
        found = self.client.search_runs(
            [self.experiment],
            f"tags.`{KEY}` = '{key}'",
            order_by=["attributes.start_time ASC"],
            max_results=1,
        )
        return found[0] if found else None

    def _log_parameters(self, parameters):
        from mlflow.entities import Param

        # A parameter cannot be changed: those of a run that goes on stay as they were.
        new = [
            Param(name, str(value)[:LONGEST_VALUE])
            for name, value in parameters.items()
            if name not in self.parameters
        ]
        for start in range(0, len(new), BATCH):
            self.client.log_batch(self.id, params=new[start : start + BATCH])

    def _steps(self, name):
        """Returns the steps of a metric that the run has."""
        if name not in self._have:
            history = [] if self.new else self.client.get_metric_history(self.id, name)
            self._have[name] = {metric.step for metric in history}
        return self._have[name]

    def log(self, rows: Sequence[Mapping[str, float]]) -> None:
        """As of Tracker."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        new = [
            Metric(name, float(value), now, int(row["epoch"]))
            for row in rows
            for name, value in row.items()
            if name != "epoch" and int(row["epoch"]) not in self._steps(name)
        ]
        for start in range(0, len(new), BATCH):
            part = new[start : start + BATCH]
            self.client.log_batch(self.id, metrics=part)
            for metric in part:
                self._steps(metric.key).add(metric.step)

    def close(self, figures: Mapping[str, float], files: Sequence[Path], status: str) -> None:
        """As of Tracker."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        new = [
            Metric(name, value, now, 0)
            for name, value in figures.items()
            if not _same(self.figures.get(name), value)
        ]
        for start in range(0, len(new), BATCH):
            self.client.log_batch(self.id, metrics=new[start : start + BATCH])
        for file in files:
            self.client.log_artifact(self.id, str(file))
        self.client.set_terminated(self.id, status)

    def where(self) -> str:
        """As of Tracker."""
        return f"{hide(self.uri)}, run {self.id}"


def _same(one, other):
    return one is not None and (one == other or (math.isnan(one) and math.isnan(other)))


def make() -> MLflow:
    """Returns a new one."""
    return MLflow()
