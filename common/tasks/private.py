"""Classification by a training with differential privacy: what is guaranteed, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from common.tasks.classification import Classification
from common.tasks.task import Section

if TYPE_CHECKING:
    import keras
    import numpy as np

    from common.data.types import Splits


class PrivateClassification(Classification):
    """Classification whose metrics have the guarantee and an attack on it beside the accuracy.

    The entry "privacy" of metrics.json has `epsilon` (None: there is none, or it is not known), `delta`,
    `noise_multiplier`, `clip_norm`, `sampling_rate`, `steps`, `epochs`, `examples`, `secret`, `chosen`
    (whether validation chose the epoch) and `accountant` (None: not installed).
    """

    def attacked(
        self, model: keras.Model, splits: Splits, privacy: dict[str, Any]
    ) -> dict[str, Any]:
        """Returns entries for metrics.json: "privacy" as given, "membership", and both for tables."""
        from common.tasks import membership

        found = membership.of_classifier(model, splits)
        figures = {"membership inference AUC": found["auc"]}
        if privacy["epsilon"] is not None and privacy["secret"]:
            figures["epsilon of all epochs"] = privacy["epsilon"]
        return {"privacy": privacy, "membership": found, "figures": figures}

    def remarks(self, metrics: dict[str, Any]) -> list[str]:
        """As of Task, and the guarantee first."""
        found = super().remarks(metrics)
        if "privacy" in metrics:
            found[:0] = [f"{guarantee(metrics['privacy'])}.", f"{attack(metrics['membership'])}."]
        return found

    def tiles(self, metrics: dict[str, Any]) -> list[tuple[str, str]]:
        """As of Task, and epsilon and the AUC of the attack first."""
        found = super().tiles(metrics)
        if "privacy" in metrics:
            privacy = metrics["privacy"]
            guaranteed = privacy["secret"] and privacy["epsilon"] is not None
            epsilon = f"{privacy['epsilon']:.3g}" if guaranteed else "none"
            auc = f"{metrics['membership']['auc']:.3f}"
            found[:0] = [("epsilon", epsilon), ("membership inference AUC", auc)]
        return found

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
        """As of Task, and what is guaranteed before them."""
        found = super().sections(
            outputs,
            problem,
            metrics=metrics,
            info=info,
            splits=splits,
            encode=encode,
            figures=figures,
        )
        return [section(metrics), *found] if "privacy" in metrics else found


def section(metrics: dict[str, Any]) -> Section:
    """Returns the section of the report on the guarantee and the attack.

    Args:
        metrics: Content of a metrics.json that has "privacy" and "membership".
    """
    from common.report.rendering import render
    from common.tasks.membership import largest_auc

    privacy, membership = metrics["privacy"], metrics["membership"]
    bound = None
    if privacy["epsilon"] is not None and privacy["secret"]:
        bound = f"{largest_auc(privacy['epsilon'], privacy['delta']):.3f}"
    page = {
        "guarantee": guarantee(privacy),
        "rows": _rows(privacy),
        "attack": attack(membership),
        "members": membership["members"],
        "others": membership["others"],
        "bound": bound,
        "private": privacy["noise_multiplier"] > 0,
        "limits": limits(privacy),
    }
    html = render("private.html", page, package="common.tasks")
    return Section("privacy", "What is guaranteed about each training image?", html, "Privacy")


def guarantee(privacy: dict[str, Any]) -> str:
    """Returns the guarantee as a sentence without a full stop."""
    if not privacy["noise_multiplier"]:
        return "No privacy is guaranteed: this training adds no noise"
    epsilon, epochs = privacy["epsilon"], privacy["epochs"]
    if not privacy["secret"]:
        more = "" if epsilon is None else f"; of secret ones epsilon would be {epsilon:.3g}"
        return (
            "No privacy is guaranteed: batches and noise were drawn by the seed in config.json, and who "
            f"knows it takes the noise off{more}"
        )
    if epsilon is None:
        return (
            "There is noise, but what it guarantees is not known: dp-accounting is not installed "
            "(`make setup EXTRAS=privacy`)"
        )
    return (
        f"Each training image is protected with epsilon {epsilon:.3g} at delta {privacy['delta']:.2g}, "
        f"over all {epochs} epochs that ran"
    )


def attack(membership: dict[str, Any]) -> str:
    """Returns the result of the attack as a sentence without a full stop."""
    low, high = membership["interval"]
    return (
        f"Membership inference by the loss has an AUC of {membership['auc']:.3f} (95 % interval "
        f"{low:.3f} to {high:.3f}), where 0.5 is chance"
    )


def _rows(privacy):
    epsilon, clip = privacy["epsilon"], privacy["clip_norm"]
    rows = [
        ("epsilon", "-" if epsilon is None else f"{epsilon:.4g}"),
        ("delta", f"{privacy['delta']:.2g}"),
        ("noise multiplier", f"{privacy['noise_multiplier']:.4g}"),
        ("longest gradient of an image", "any" if clip is None else f"{clip:.3g}"),
        ("share of the images in a batch, on average", f"{privacy['sampling_rate']:.4g}"),
        ("steps", f"{privacy['steps']:,}"),
        ("epochs that ran", f"{privacy['epochs']:,}"),
        ("training images", f"{privacy['examples']:,}"),
    ]
    if privacy["accountant"]:
        rows.append(("accountant", privacy["accountant"]))
    return rows


def limits(privacy: dict[str, Any]) -> list[str]:
    """Returns what the guarantee does not cover, a sentence each."""
    chosen = "chose the epoch and " if privacy["chosen"] else ""
    return [
        f"Validation and test images. They {chosen}give the figures of this report as they are, without "
        "noise.",
        "Other trainings on the same images. Each has an epsilon of its own, and they add up: the seeds "
        "of a series, the trials of a search, the runs by which somebody chose these hyperparameters.",
        "What is computed from training images without noise: the training columns of history.csv, their "
        "curve, and the attack above. They are for you. Whoever publishes the model leaves them out.",
        "What is taken for known: the number of images, their size, the names of the classes.",
        "A person with several images. The unit is one image: with k of them epsilon is k times as "
        "large, and delta grows even more.",
        "Floating-point numbers. The proof is about real ones; the noise is rounded, and its generator "
        "(NumPy's PCG64) is not a cryptographic one.",
        "Whoever could read the run folder during the training. The secret behind batches and noise lay "
        "there, so that an interrupted training repeats itself exactly; it was deleted at the end.",
    ]
