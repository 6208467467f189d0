"""Questions about augmentation, answered by trainings: `recipes study cifar10_cnn`."""

from common.studies.study import Study

PLAIN = {"flip": True, "shift": 2}
ARMS = {
    "none": {"flip": False, "shift": 0},
    "flip+shift": PLAIN,
    "rotation": {**PLAIN, "rotation": 10.0},
    "cutout": {**PLAIN, "cutout": 8},
    "mixup": {**PLAIN, "mixup": 0.2},
    "cutmix": {**PLAIN, "cutmix": 1.0},
    "randaugment": {**PLAIN, "randaugment": 9},
    "randaugment+cutmix": {**PLAIN, "randaugment": 9, "cutmix": 1.0},
}
SIZES = (2000, 10_000, 49_500)
"""Images to train on. The last number is all but those of validation."""
# A small network, for 120 trainings a study. Labels are smoothed in no arm: mixing softens them, too.
# The last epoch counts, where the learning rate is 0: validation chooses nothing, 500 images will do.
SMALL = {
    "validation_fraction": 0.01,
    "stem_filters": 16,
    "filters": (16, 48, 96),
    "label_smoothing": 0.0,
    "monitor": "epoch",
}


def _study(question: str, epochs: int) -> Study:
    return Study(
        question=question,
        base="best",
        arms=ARMS,
        sizes=SIZES,
        seeds=5,
        settings={**SMALL, "epochs": epochs},
        reference="flip+shift",
    )


STUDIES = {
    # The same arms twice: what differs between the two answers is the point.
    "augmentation_short": _study("Which augmentation pays in a short training?", 8),
    "augmentation_long": _study("Which augmentation pays in a long training?", 40),
}
