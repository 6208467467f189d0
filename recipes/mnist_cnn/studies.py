"""What convolutions are said to be invariant to: `recipes study mnist_cnn`."""

from common.studies.study import Claim, Study

OVERVIEW = "Architectures and tuning"

STUDIES = {
    "invariance": Study(
        question="Is a CNN invariant to shifts, rotations and things that stand in front?",
        base="best",
        conditions={
            "as-it-is": {},
            "shifted-1": {"shift": 1},
            "shifted-2": {"shift": 2},
            "shifted-4": {"shift": 4},
            "turned-10": {"turn": 10.0},
            "turned-30": {"turn": 30.0},
            "turned-60": {"turn": 60.0},
            "covered-5": {"cover": 0.05},
            "covered-10": {"cover": 0.1},
            "covered-20": {"cover": 0.2},
        },
        seeds=5,
        # Augmentation teaches what is asked for: without it the answer is that of the architecture.
        settings={"shift": 0.0, "rotation": 0.0, "scale": 0.0},
        claims=(
            Claim("CNNs are invariant to translation", OVERVIEW, "shifted-4", "level"),
            Claim("CNNs are invariant to rotation", OVERVIEW, "turned-30", "level"),
            Claim(
                "can recognise an object even if partially occluded",
                OVERVIEW,
                "covered-10",
                "level",
            ),
        ),
    ),
}
