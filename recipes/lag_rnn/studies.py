"""Claims about recurrent networks, answered by trainings: `recipes study lag_rnn`."""

from common.studies.study import Claim, Study

CELLS = {
    "rnn": {"cell": "rnn"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
    "chrono": {"cell": "lstm", "forget_bias": "chrono"},
}
# Minutes each on two cores.
SHORT = {"length": 100, "epochs": 8}

STUDIES = {
    "clipping": Study(
        question="Do LSTMs need gradient clipping?",
        base="chrono",
        arms={
            "clipped-at-1": {"clip_norm": 1.0},
            "not-clipped": {"clip_norm": None},
        },
        seeds=5,
        settings=SHORT,
        claims=(
            Claim(
                "LSTMs utilise gradient clipping",
                "Architectures and tuning",
                "not-clipped",
                "worse",
            ),
        ),
    ),
    "vanishing": Study(
        question="Do weight decay and dropout mitigate vanishing gradients?",
        base="article",
        arms={
            "neither": {},
            "weight-decay": {"weight_decay": 0.1},
            "dropout": {"dropout_rate": 0.2},
        },
        seeds=5,
        settings=SHORT,
        claims=(
            Claim(
                "weight decay mitigates vanishing gradients",
                "Improving networks",
                "weight-decay",
                "better",
            ),
            Claim(
                "dropout mitigates vanishing gradients", "Improving networks", "dropout", "better"
            ),
        ),
    ),
    "bptt": Study(
        question="Does backpropagation through time enable an RNN to learn a long-term dependency?",
        base="article",
        arms={"gru": {"cell": "gru"}, "rnn": {"cell": "rnn"}},
        seeds=5,
        settings=SHORT,
        claims=(
            # If backpropagation through time were what it takes, the plain cell would not lag behind.
            Claim(
                "BPTT enables RNNs to learn long-term dependencies",
                "Improving networks",
                "rnn",
                "level",
            ),
        ),
    ),
    "cells-50": Study(
        question="Which cell adds numbers over 50 steps?",
        base="best",
        arms=CELLS,
        seeds=3,
        settings={"length": 50, "epochs": 8},
    ),
    "cells-400": Study(
        question="Which cell adds numbers over 400 steps?",
        base="best",
        arms=CELLS,
        seeds=3,
        settings={"length": 400},
    ),
}
