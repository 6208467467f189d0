"""Questions about transfer, answered by trainings: `recipes study photos_transfer`."""

from common.studies.study import Study

STUDIES = {
    "labels": Study(
        question="How many labels does a pretrained backbone save?",
        base="best",
        arms={
            "scratch": {
                "transfer": "scratch",
                "learning_rate": 4e-3,
                "weight_decay": 5e-2,
            },
            "frozen": {"transfer": "features", "epochs": 1},
            "fine-tuned": {},
        },
        # Of five classes: 5, 20 and 100 of each, as near as shares allow, and all.
        sizes=(25, 100, 500, 2245),
        # Each seed draws other labels.
        seeds=10,
        # Nothing is chosen on validation: those would be labels, too.
        settings={"draw_by_seed": True, "monitor": "epoch", "head_strength": 0.01},
    ),
}
