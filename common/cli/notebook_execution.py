"""Runs notebooks and stores what they show.

python -m common.cli.notebook_execution notebooks/*.ipynb
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.basics.errors import RecipeError

KEY = "keras_recipe_box"
"""Where a notebook's metadata say what its outputs were made from."""


def code_hash(notebook: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of a notebook's code cells, hexadecimal."""
    code = "\n\x00\n".join(
        cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"
    )
    return hashlib.sha256(code.encode()).hexdigest()


def execute(path: str | Path, output: str | Path | None = None, timeout: int = 3600) -> None:
    """Runs a notebook from its own folder; stores its outputs, a digest of its code, data and time.

    Args:
        path: The .ipynb file.
        output: Where to write (default: the same file).
        timeout: Seconds a cell may take.

    Raises:
        RecipeError: nbclient is not installed, a cell failed, or the outputs would be stored in the
            notebook itself and be of trainings that NOTEBOOK_EPOCHS cut short.
    """
    if os.environ.get("NOTEBOOK_EPOCHS") and output is None:
        raise RecipeError(
            f"unset NOTEBOOK_EPOCHS: {path} must not store trainings that it cut short"
        )
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError
    except ImportError as error:
        raise RecipeError(
            f"notebooks need the extra [notebooks] ({error}): make setup EXTRAS=notebooks"
        ) from error
    path = Path(path)
    notebook = nbformat.read(path, as_version=4)
    begun = time.perf_counter()
    client = NotebookClient(
        notebook, timeout=timeout, resources={"metadata": {"path": str(path.parent)}}
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise RecipeError(f"{path}: {error}") from error
    for cell in notebook["cells"]:
        # With the times of cells in it, the file would change with every execution.
        cell["metadata"].pop("execution", None)
    notebook["metadata"][KEY] = {
        "code": code_hash(notebook),
        "data": os.environ.get("NOTEBOOK_DATA", "sample"),
        "seconds": round(time.perf_counter() - begun),
        "executed": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    nbformat.write(notebook, output or path)


if __name__ == "__main__":
    for file in sys.argv[1:]:
        start_time = time.perf_counter()
        try:
            execute(file)
        except RecipeError as failure:
            print(f"error: {failure}", file=sys.stderr)
            raise SystemExit(1) from None
        print(f"{file}: {time.perf_counter() - start_time:.0f} s", flush=True)
