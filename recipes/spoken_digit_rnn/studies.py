"""Questions about spoken digits, answered by trainings: `recipes study spoken_digit_rnn`.

Each seed leaves another of the five people out, so five seeds test on all of them, and arms are compared
person by person. Trainings have half the epochs of `best`, which is enough to compare arms.
"""

from common.studies.study import Study

STUDIES = {
    "voices": Study(
        question="How much is lost on a voice never heard, and what helps?",
        base="best",
        arms={
            "unknown-voice": {},
            # The published split: five takes of each of the same people.
            "known-voices": {"split": "take"},
            "without-normalisation": {"normalise": "none"},
            "without-augmentation": {"speed": 0.0, "shift": 0.0, "noise": 0.0},
        },
        seeds=5,
        settings={"epochs": 6},
    ),
    "cells": Study(
        question="Which recurrent layer does best with equally many parameters?",
        base="best",
        # 117,246 to 118,114 parameters each.
        arms={
            "gru": {"cell": "gru", "units": 64},
            "lstm": {"cell": "lstm", "units": 55},
            "rnn": {"cell": "rnn", "units": 114},
            "gru-forwards": {"cell": "gru", "bidirectional": False, "units": 106},
        },
        seeds=5,
        settings={"epochs": 6},
    ),
}
