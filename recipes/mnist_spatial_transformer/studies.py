"""What a spatial transformer is worth: `recipes study mnist_spatial_transformer`."""

from common.studies.study import Study

ARMS = {"plain": {"transformer": False}, "transformer": {"transformer": True}}

STUDIES = {
    "rts": Study(
        question="Does a spatial transformer help with rotated, scaled and moved digits?",
        base="best",
        arms=ARMS,
        seeds=3,
    ),
    "clutter": Study(
        question="Does a spatial transformer help with digits in clutter?",
        base="clutter",
        arms=ARMS,
        seeds=3,
    ),
}
