"""Opens a finished run and its data, for the commands that work on one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from common.basics import backend, streams

if TYPE_CHECKING:
    from common.data import Source, Splits
    from common.runs.run import Run


def open_run(path: Path) -> tuple[Run, ModuleType]:
    """Returns a finished run and its recipe's module. The backend is checked, but not started."""
    from common.runs.finished import open_finished

    opened = open_finished(path)
    backend.check()
    return opened


# Of the commands that read a run's data.
DATA_FLAGS = {
    "data": (str | None, None, "Where the run's data is now, if it has moved: a path."),
    "data_dir": (Path | None, None, "Folder of TensorFlow Datasets."),
}


def source_of(run: Run, arguments: Any) -> Source:
    """Returns where a run's data is: as the flags `data` and `data_dir` say, else where it was."""
    from common.data import Source

    reading = run.source.reading
    # If no flag gave the range, it was found in the training images. Other data is read with it too.
    found = (run.data_info().get("reading") or {}).get("value_range")
    if found is not None and arguments.data:
        reading = dataclasses.replace(reading, value_range=tuple(found))
    return Source(
        data=arguments.data or run.source.data,
        data_dir=arguments.data_dir or run.source.data_dir,
        reading=reading,
    )


def splits_of(run: Run, module: ModuleType, arguments: Any) -> Splits:
    """Returns the data of a run, from where `source_of` says."""
    with streams.doing("Reading the data"):
        splits = module.load_data(run.config, source_of(run, arguments))
    if splits.info.kind == "table":
        # A table has its own columns, in its own order.
        from common.data import table_rows

        splits = table_rows.like(splits, run.data_info()["reading"])
    return splits
