"""Small pictures of examples, as PNG bytes: one alone, or a sheet of them with captions."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from common.report.drawing import INK, PIXELS_PER_INCH, flat, to_png


def contact_sheet(
    images: Sequence[np.ndarray], captions: Sequence[str], *, columns: int = 8
) -> bytes:
    """Draws small pictures in a grid with a caption of two lines below each.

    Args:
        images: uint8 (height, width) or (height, width, 3); sizes may differ.
        captions: One for each picture.
        columns: Pictures in a row.
    """
    from matplotlib.figure import Figure

    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(1.15 * columns, 1.4 * rows), dpi=PIXELS_PER_INCH)
    # All pictures share one axes object: two dozen of them would take a second.
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(index, columns)
        left, top = column * 1.15 + 0.075, -row * 1.4 - 0.05
        height, width = image.shape[:2]
        half_width, half_height = np.array([width, height]) / max(width, height) / 2
        centre_x, centre_y = left + 0.5, top - 0.5
        axes.imshow(
            image,
            cmap="gray",
            vmin=0,
            vmax=255,
            extent=(
                centre_x - half_width,
                centre_x + half_width,
                centre_y - half_height,
                centre_y + half_height,
            ),
            interpolation="nearest",
        )
        axes.text(centre_x, top - 1.04, caption, ha="center", va="top", fontsize=6, color=INK)
    axes.set_xlim(0, 1.15 * columns)
    axes.set_ylim(-1.4 * rows, 0)
    return to_png(figure)


def thumbnail(image: np.ndarray, largest: int = 96) -> bytes:
    """Returns one picture as PNG bytes, with a longer side of at most `largest` pixels.

    Args:
        image: uint8 (height, width), (height, width, 1) or (height, width, 3).
        largest: In pixels.
    """
    from PIL import Image

    picture = Image.fromarray(flat(image))
    picture.thumbnail((largest, largest))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
