"""Classification of images that an attack may have moved: clean accuracy, and accuracy under PGD-20."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.basics.statistics import wilson_interval
from common.basics.wording import percent
from common.tasks.classification import Classification

if TYPE_CHECKING:
    import keras

    from common.data.types import Splits

EXAMPLES = 1000
"""Test images that the robust figure of a training rests on; `recipes attack` does more."""
VALIDATED = 500
"""Validation images attacked after each epoch."""
STEPS = 20


class RobustClassification(Classification):
    """Classification whose metrics have the accuracy under a cheap attack as a second figure.

    The headline is the clean accuracy. A search goes by the robust one.
    """

    objective = "val_robust_accuracy"
    curves = (*Classification.curves, ("robust_accuracy", f"accuracy under PGD-{STEPS} (%)"))

    def robustness(self, model: keras.Model, splits: Splits, epsilon: float) -> dict[str, Any]:
        """Returns an entry for metrics.json: the accuracy under PGD-20 of up to 1,000 test images.

        Args:
            model: Trained classifier of uint8 images.
            splits: Its data.
            epsilon: Most that the attack changes a pixel; black is 0, white is 1.
        """
        from common.training.attacks import Target

        found = _held(Target(model), splits.test, epsilon, EXAMPLES)
        low, high = wilson_interval(int(found.sum()), len(found))
        return {
            "robust": {
                "attack": f"PGD-{STEPS}",
                "epsilon": epsilon,
                "accuracy": round(float(found.mean()), 6),
                "interval": [round(low, 6), round(high, 6)],
                "count": len(found),
            }
        }

    def validated(self, splits: Splits, epsilon: float) -> keras.callbacks.Callback:
        """Returns a callback that adds the column `val_robust_accuracy` to the history.

        The model must end in an activation layer: else the attack would see the weights of the start.
        """
        import keras

        from common.training.attacks import Target
        from common.training.averaging import averaged_weights

        class Validate(keras.callbacks.Callback):
            def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
                self.target = Target(self.model)  # It shares the weights.

            def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
                assert logs is not None  # Keras passes them at the end of an epoch.
                with averaged_weights(self.model):  # Where an average is kept, it is what counts.
                    found = _held(self.target, splits.val, epsilon, VALIDATED)
                logs["val_robust_accuracy"] = float(found.mean())

        return Validate()

    def remarks(self, metrics: dict[str, Any]) -> list[str]:
        """As of Task, and the robust figure first."""
        robust, found = metrics.get("robust"), super().remarks(metrics)
        if robust:
            low, high = map(percent, robust["interval"])
            found.insert(
                0,
                f"Under {robust['attack']} at epsilon {robust['epsilon']:.3g}: "
                f"{percent(robust['accuracy'])} (95 % interval {low} to {high}) of "
                f"{robust['count']:,} test images; `recipes attack` tries harder.",
            )
        return found

    def tiles(self, metrics: dict[str, Any]) -> list[tuple[str, str]]:
        """As of Task, and the robust figure first."""
        robust, found = metrics.get("robust"), super().tiles(metrics)
        if robust:
            found.insert(0, (f"under {robust['attack']}", percent(robust["accuracy"])))
        return found


def _held(target, split, epsilon, examples):
    """Returns which of a split's first images withstand PGD-20, bool; the start is always the same."""
    import numpy as np

    from common.training.attacks import unit

    x, y = unit(np.asarray(split.x[:examples])), np.asarray(split.y[:examples])
    return target.pgd(
        x,
        y,
        epsilon=epsilon,
        steps=STEPS,
        size=2.5 * epsilon / STEPS,
        random=np.random.default_rng(0),
    )
