"""Rows that Optuna's storage writes one at a time, or not at all, written into its tables together.

Only what is shown is written here: curves, and what searches lack that were begun before their trials had
Optuna's form. What a search depends on goes through Optuna (common.tuning.database).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from sqlalchemy import Connection, Engine


class Tables:
    """Optuna's tables in a database.

    Args:
        engine: SQLAlchemy's engine of the database.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: The database is away, or has no such tables.
    """

    def __init__(self, engine: Engine):
        import sqlalchemy

        metadata, self.engine = sqlalchemy.MetaData(), engine
        names = ("study_directions", "trial_params", "trial_intermediate_values")
        self.directions, self.params, self.values = (
            sqlalchemy.Table(name, metadata, autoload_with=engine, resolve_fks=False)
            for name in names
        )

    def add_values(self, trial: int, values: Mapping[int, float]) -> None:
        """Writes values by step; values that these steps have are replaced.

        Args:
            trial: Optuna's identifier of the trial.
            values: Finite numbers by step.
        """
        if values:
            with self.engine.begin() as connection:
                self._add_values(connection, trial, values)

    def _add_values(self, connection: Connection, trial: int, values: Mapping[int, float]) -> None:
        table = self.values
        there = (table.c.trial_id == trial) & table.c.step.in_(list(values))
        connection.execute(table.delete().where(there))
        rows = [
            {"trial_id": trial, "step": step, "intermediate_value": value}
            for step, value in values.items()
        ]
        connection.execute(
            table.insert(), [{**r, "intermediate_value_type": "FINITE"} for r in rows]
        )

    def upgrade(
        self,
        study: int,
        direction: str,
        trials: Iterable[tuple[int, Mapping[str, tuple[Any, BaseDistribution]], dict[int, float]]],
    ) -> None:
        """Sets the direction of a study and adds parameters and values to its trials: all, or nothing.

        Args:
            study: Optuna's identifier of the study.
            direction: "maximize" or "minimize".
            trials: For each trial its identifier, its parameters and its values by step.

        Raises:
            sqlalchemy.exc.IntegrityError: Another process has done it.
        """
        from optuna.distributions import distribution_to_json

        table = self.directions
        with self.engine.begin() as connection:
            connection.execute(
                table.update().where(table.c.study_id == study).values(direction=direction.upper())
            )
            for trial, parameters, values in trials:
                rows = [
                    {
                        "trial_id": trial,
                        "param_name": name,
                        "param_value": kind.to_internal_repr(value),
                        "distribution_json": distribution_to_json(kind),
                    }
                    for name, (value, kind) in parameters.items()
                ]
                if rows:
                    connection.execute(self.params.insert(), rows)
                if values:
                    self._add_values(connection, trial, values)
