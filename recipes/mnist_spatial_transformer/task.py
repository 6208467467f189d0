"""The recipe's task: classification, and a picture of what the transformer makes of its input."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from common.tasks.classification import Classification
from common.tasks.task import Section

if TYPE_CHECKING:
    import numpy as np

    from common.data.types import Splits


class Straightened(Classification):
    """Classification of images whose report has a filmstrip, if the network has a transformer."""

    def sections(
        self,
        outputs: dict[str, np.ndarray] | None,
        problem: str | None,
        *,
        metrics: dict[str, Any],
        info: dict[str, Any],
        splits: Splits | None,
        encode: Callable[[Any], Any] | None,
        figures: dict[str, bytes],
    ) -> list[Section]:
        found = super().sections(
            outputs,
            problem,
            metrics=metrics,
            info=info,
            splits=splits,
            encode=encode,
            figures=figures,
        )
        film = metrics.get("film")
        if film and splits is not None:
            from .picture import film_section

            html = film_section(film, splits.val.x, figures)
            found.insert(
                0, Section("film", "What the transformer makes of it", html, "Transformer")
            )
        return found
