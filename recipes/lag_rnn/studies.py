"""Claims about recurrent networks, answered by trainings: `recipes study lag_rnn`."""

from common.studies.study import Claim, Study

CELLS = {
    "gru": {"cell": "gru"},
    "chrono": {"cell": "lstm", "forget_bias": "chrono"},
    "lstm": {"cell": "lstm"},
    "rnn": {"cell": "rnn"},
}
NOT_CLIPPED = {f"{name}-not-clipped": {**cell, "clip_norm": None} for name, cell in CELLS.items()}
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
    # lengths.py draws the time to a solution against the length from the runs of these.
    **{
        f"cells-{length}": Study(
            question=f"Which cell adds numbers over {length} steps, clipped or not?",
            base="best",
            arms={**CELLS, **NOT_CLIPPED},
            seeds=3,
            settings={"length": length},
        )
        for length in (50, 200, 400)
    },
}
