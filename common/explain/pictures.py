"""Explanations as pictures: an image with its maps, a text with its words shaded."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from common.report import lettering
from common.report.drawing import (
    ALERT,
    FAINT,
    INK,
    MUTED,
    STRONG,
    WEAK,
    dress,
    set_title,
    short,
    to_png,
)

if TYPE_CHECKING:
    from common.explain.methods import Curve  # It imports Keras, and pictures need none.

CLEARLY = 0.02
"""A smaller difference between the areas of two deletion curves counts as noise."""

SIGNED = "cividis"
"""Colour map of signed values: dark below 0 and light above, which can be read in grey as well."""

SINGLE = "autumn"
"""Colour map of which only the lowest colour, red, is used."""


def image_explanation(
    image: np.ndarray,
    label: str,
    probability: float,
    heat: np.ndarray,
    attributions: np.ndarray,
    curves: Mapping[str, Curve],
    checks: Mapping[str, float],
) -> bytes:
    """Draws an image, its Grad-CAM, its integrated gradients and the deletion curve.

    Args:
        image: uint8 `(height, width, channels)`.
        label: Name of the explained class, as common.report.lettering.names_to_draw returns it.
        probability: Its probability, 0 to 1.
        heat: Grad-CAM, float `(height, width)`, 0 to 1.
        attributions: Integrated gradients, float `(height, width, channels)`.
        curves: The deletion curve of each explanation by its name, and of `random`.
        checks: `residual` is the completeness residual; `similarity` is the rank correlation of the
            Grad-CAM with that of randomised weights, `gradients_similarity` the same of the
            integrated gradients (common.explain.methods).

    Returns:
        PNG bytes.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    # The layout engine does not count on images that keep their shape: leave room for the title.
    layout = ConstrainedLayoutEngine(rect=(0, 0, 1, 0.93))
    figure = Figure(figsize=(11.0, 3.4), dpi=150, layout=layout)
    set_title(figure, f"{short(label, 40)}, {probability:.1%}: {verdict(curves)}")
    picture, cam, gradients, deletion = figure.subplots(1, 4)
    grey = image.mean(axis=-1)
    for axes, title in ((picture, "image"), (cam, "HiResCAM"), (gradients, "integrated gradients")):
        axes.set_title(title, fontsize=9, color=INK)
        axes.set_axis_off()
    picture.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
    # The image is drawn in light greys, with one colour on top whose opacity is the heat. So the same
    # heat looks the same on white and on black.
    cam.imshow(grey, cmap="gray", vmin=-380, vmax=255)
    cam.imshow(np.zeros_like(heat), cmap=SINGLE, vmin=0, vmax=1, alpha=0.9 * heat)
    total = attributions.sum(axis=-1)
    limit = float(np.percentile(np.abs(total), 99)) or 1.0
    gradients.imshow(total, cmap=SIGNED, vmin=-limit, vmax=limit)
    notes = (
        (cam, f"red: raises the logit\n{_correlation(checks['similarity'])}"),
        (
            gradients,
            f"light: for, dark: against; residual {checks['residual']:.1%}\n"
            f"{_correlation(checks['gradients_similarity'])}",
        ),
    )
    for axes, text in notes:
        axes.text(
            0.5, -0.04, text, transform=axes.transAxes, ha="center", va="top", fontsize=7, color=MUTED
        )  # fmt: skip
    _deletion(deletion, curves, "pixels")
    return to_png(figure)


def _correlation(value):
    return f"rank correlation with randomised weights {value:.2f}"


def verdict(curves: Mapping[str, Curve]) -> str:
    """Returns in words which explanations mark parts that matter more, or less, than random parts.

    They matter more if the mean probability while they are removed is lower than at random, by more
    than CLEARLY.
    """
    chance = curves["random"][2]
    areas = {name: curve[2] for name, curve in curves.items() if name != "random"}
    found: list[str] = []
    for than, names in (
        ("more", [name for name, area in areas.items() if area < chance - CLEARLY]),
        ("less", [name for name, area in areas.items() if area > chance + CLEARLY]),
    ):
        if names:
            verb = "marks" if len(names) == 1 else "mark"
            rest = f"matters {than} than random parts" if not found else than
            found.append(f"what {' and '.join(names)} {verb} {rest}")
    return ", ".join(found) or "what is marked matters no more than random parts"


def _deletion(axes, curves, what):
    dress(axes, f"{what} removed, %", "probability, %")
    styles = ((STRONG, "-"), ("#d98200", "-."))
    names = [name for name in curves if name != "random"]
    for name, (colour, style) in [*zip(names, styles, strict=False), ("random", (WEAK, "--"))]:
        shares, values, area = curves[name]
        label = f"{name} (mean {area:.2f})"
        axes.plot(100 * shares, 100 * values, linestyle=style, color=colour, lw=1.8, label=label)
    axes.set_ylim(-3, 140)  # The room above 100 is the legend's.
    axes.set_yticks(range(0, 101, 20))
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.legend(fontsize=7, frameon=False, labelcolor=INK, loc="upper right")


def word_explanation(
    words: Sequence[str],
    scores: np.ndarray,
    label: str,
    probability: float,
    curves: Mapping[str, Curve],
    checks: Mapping[str, float],
    most: int = 12,
) -> bytes:
    """Draws the words that speak most for and against a class, and the deletion curve.

    Args:
        words: The words of the text, in order.
        scores: How much the log-odds fall without each word, float `(words,)`.
        label, probability, curves: As for `image_explanation`.
        checks: Only `similarity` is used.
        most: Most words to draw.

    Returns:
        PNG bytes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.6), dpi=150, layout="constrained")
    order = np.argsort(-np.abs(scores), kind="stable")[:most][::-1]
    words = lettering.names_to_draw(words, "word", first=1)
    strongest = short(words[order[-1]], 24) if len(order) else "nothing"
    title = f"{short(label, 40)}, {probability:.1%}: \u201c{strongest}\u201d weighs most"
    set_title(figure, title)
    bars, deletion = figure.subplots(1, 2, width_ratios=(3, 2))
    dress(bars, "fall of the log-odds when the word is made unknown", "")
    colours = [STRONG if scores[i] > 0 else ALERT for i in order]
    bars.barh(range(len(order)), scores[order], color=colours)
    bars.set_yticks(range(len(order)), [short(words[i], 24) for i in order], fontsize=8)
    bars.axvline(0, color=MUTED, linewidth=0.8)
    bars.text(
        1, -0.22, f"rank correlation with randomised weights {checks['similarity']:.2f}",
        transform=bars.transAxes, ha="right", va="top", fontsize=7, color=MUTED,
    )  # fmt: skip
    _deletion(deletion, curves, "words")
    return to_png(figure)


def shaded_words(words: Sequence[str], scores: np.ndarray) -> str:
    """Returns HTML of a text in which words for the class are blue, and words against it are red.

    The stronger a word, the darker its shade. Words against the class are underlined as well, so
    that the page can be read in grey.

    Args:
        words: The words of the text, in order.
        scores: float `(words,)`, positive for the class.
    """
    limit = float(np.max(np.abs(scores), initial=0.0)) or 1.0
    parts = []
    for word, score in zip(words, scores, strict=True):
        strength = min(abs(float(score)) / limit, 1.0)
        red, green, blue = (18, 70, 127) if score > 0 else (179, 38, 30)
        style = f"background: rgba({red},{green},{blue},{0.55 * strength:.2f})"
        if score < 0 and strength > 0.1:
            style += "; text-decoration: underline"
        parts.append(f'<span style="{style}" title="{score:+.3f}">{html.escape(word)}</span>')
    return " ".join(parts)
