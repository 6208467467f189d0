"""A picture of test tasks for the report: the known drawing, and the answers to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .scoring import right

if TYPE_CHECKING:
    from .episodes import Tasks


def task_section(tasks: Tasks, outputs: np.ndarray, figures: dict[str, bytes]) -> str:
    """Returns the report's section as HTML.

    Args:
        tasks: The test tasks.
        outputs: The answers to them, `(m, way * queries, way)`.
        figures: Receives the picture: PNG bytes by file name.
    """
    from common.report.rendering import data_uri

    answered = right(outputs)
    scores = answered.mean(axis=(1, 2))
    # The task of median score: neither the best nor the worst is typical.
    task = int(np.argsort(scores, kind="stable")[len(scores) // 2])
    wrong = int((~answered[task]).sum())
    title = f"A task of median score: {wrong} of {answered[task].size} answers are wrong"
    figures["task.png"] = draw_task(tasks[task], tasks.shot, outputs[task], title)
    return (
        f'<img src="{data_uri(figures["task.png"])}" alt="Rows of handwritten characters. {title}.">\n'
        '<p class="fine">A row is a character. Left of the line: the drawing that is known; right of it: '
        "those that are asked about. A red frame and number: the answer is the row of that number.</p>"
    )


def draw_task(images: np.ndarray, shot: int, outputs: np.ndarray, title: str) -> bytes:
    """Draws one task as PNG.

    Args:
        images: uint8 `(way, shot + queries, 28, 28, 1)`.
        shot: Known drawings of each character.
        outputs: Probabilities `(way * queries, way)`.
        title: Title, which says what is found.
    """
    from common.report import drawing

    way, drawings = images.shape[:2]
    size = images.shape[2]
    found = outputs.argmax(axis=-1).reshape(way, -1)
    figure, axes = drawing.new_axes(0.45 * drawings + 0.8, 0.45 * way + 0.8, "", "", title)
    canvas = images[..., 0].transpose(0, 2, 1, 3).reshape(way * size, drawings * size)
    axes.imshow(255 - canvas, cmap="gray", vmin=0, vmax=255)
    axes.axvline(shot * size - 0.5, color=drawing.STRONG)
    axes.set_xticks([])
    axes.set_yticks(size * (np.arange(way) + 0.5), [str(row + 1) for row in range(way)])
    for row, column in zip(*np.nonzero(found != np.arange(way)[:, None]), strict=True):
        left, top = (shot + column) * size, row * size
        axes.plot(
            left + np.array([1, size - 2, size - 2, 1, 1]),
            top + np.array([1, 1, size - 2, size - 2, 1]),
            color="#b3261e",
            linewidth=1,
        )
        axes.text(left + 3, top + 9, str(found[row, column] + 1), color="#b3261e", fontsize=7)
    return drawing.to_png(figure)
