"""Claims about dense networks, answered by trainings: `recipes study mnist_mlp`."""

from common.studies.study import Claim, Study

# The last epoch counts where nothing else is said: choosing one by validation is early stopping.
TWO_LAYERS = {"hidden": (512, 512), "schedule": "one_cycle", "epochs": 40, "monitor": "epoch"}
CONSTANT = {**TWO_LAYERS, "schedule": "constant"}
EARLY = {
    "last-epoch": {},
    "best-epoch": {"monitor": "val_accuracy"},
    "early-stopping": {"monitor": "val_accuracy", "patience": 5},
}

STUDIES = {
    "regularisation": Study(
        question="Which regularisation helps, and with how many examples?",
        base="plain",
        arms={
            "none": {},
            "L1": {"l1": 1e-5},
            "L2": {"l2": 1e-4},
            "weight-decay": {"weight_decay": 0.1},
            "batch-norm": {"batch_norm": True},
            "dropout": {"input_dropout_rate": 0.2, "dropout_rate": 0.5},
            "dropout-max-norm": {
                "input_dropout_rate": 0.2,
                "dropout_rate": 0.5,
                "max_norm": 3.0,
            },
        },
        # 54,000: all that the validation share leaves.
        sizes=(1_000, 10_000, 54_000),
        seeds=5,
        settings=TWO_LAYERS,
        claims=(
            Claim("dropout prevents overfitting", "Principles", "dropout", "better"),
            Claim("weight decay regularises", "Improving networks", "weight-decay", "better"),
            Claim("L1 and L2 reduce overfitting", "Architectures and tuning", "L2", "better"),
        ),
    ),
    # The rate is constant: one that falls to 0 and early stopping contradict each other.
    "early-stopping": Study(
        question="Does early stopping help, with labels that are right?",
        base="plain",
        arms=EARLY,
        sizes=(1000, 10000),
        seeds=5,
        settings=CONSTANT,
        claims=(
            Claim("early stopping regularises", "Improving networks", "early-stopping", "better"),
        ),
    ),
    "early-stopping-noise": Study(
        question="Does early stopping help, with three in ten labels wrong?",
        base="plain",
        arms=EARLY,
        sizes=(1000, 10000),
        seeds=5,
        settings={**CONSTANT, "label_noise": 0.3},
        claims=(
            Claim("early stopping regularises", "Improving networks", "early-stopping", "better"),
        ),
    ),
    "optimizers": Study(
        question="Which optimizer is best, and which forgives a wrong learning rate?",
        base="plain",
        arms={
            "sgd": {"optimizer": "sgd"},
            "momentum": {"optimizer": "momentum"},
            "rmsprop": {"optimizer": "rmsprop"},
            "adagrad": {"optimizer": "adagrad"},
            "adam": {"optimizer": "adam"},
            "adamw": {"optimizer": "adam", "weight_decay": 0.1},
            "muon": {"optimizer": "muon"},
        },
        sizes=(20000,),
        tuned={"learning_rate": (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)},
        seeds=5,
        settings={**TWO_LAYERS, "epochs": 5, "validation_fraction": 0.2},
    ),
    # Of "internal covariate shift" accuracies say nothing; of depth "cures" does, and of rates this one.
    "batch-norm-rates": Study(
        question="Does batch normalisation let a deep network learn at more rates?",
        base="plain",
        arms={"without": {}, "batch-norm": {"batch_norm": True}},
        sizes=(20000,),
        tuned={"learning_rate": (1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)},
        seeds=5,
        settings={
            **TWO_LAYERS,
            "hidden": (256,) * 10,
            "optimizer": "sgd",
            "epochs": 5,
            "validation_fraction": 0.2,
        },
    ),
    "activations": Study(
        question="Which activation trains 30 layers without normalisation and shortcuts?",
        base="deep",
        arms={
            "sigmoid": {"activation": "sigmoid", "initializer": "glorot_uniform"},
            "tanh": {"activation": "tanh", "initializer": "glorot_uniform"},
            "relu-Glorot": {"activation": "relu", "initializer": "glorot_uniform"},
            "relu-He": {"activation": "relu"},
            "leaky-relu": {"activation": "leaky_relu"},
            "elu": {"activation": "elu"},
            "selu": {"activation": "selu", "initializer": "lecun_normal"},
            "gelu": {"activation": "gelu"},
        },
        sizes=(10000,),
        seeds=5,
        settings={
            "batch_norm": False,
            "residual": False,
            "clip_norm": 1.0,
            "learning_rate": 0.01,
            "epochs": 10,
        },
        claims=(
            Claim("ReLU helps against vanishing gradients", "Principles", "relu-He", "better"),
            Claim("ELU helps against vanishing gradients", "Principles", "elu", "better"),
        ),
    ),
    "cures": Study(
        question="Do batch normalisation and shortcuts make 30 layers of sigmoids trainable?",
        base="deep",
        arms={
            "neither": {"batch_norm": False, "residual": False},
            "batch-norm": {"residual": False},
            "shortcuts": {"batch_norm": False},
            "both": {},
        },
        sizes=(10000,),
        seeds=5,
        settings={
            "activation": "sigmoid",
            "initializer": "glorot_uniform",
            "clip_norm": 1.0,
            "epochs": 10,
        },
        claims=(
            Claim("shortcuts keep gradients alive", "Notes with code", "shortcuts", "better"),
            Claim("batch normalisation eases training", "Principles", "batch-norm", "better"),
        ),
    ),
    "batch-epochs": Study(
        question="Does a larger batch reduce overfitting, at equal epochs?",
        base="plain",
        arms={f"batch-{size}": {"batch_size": size} for size in (32, 128, 512, 2048)},
        sizes=(10000,),
        seeds=5,
        settings={"hidden": (512, 512), "epochs": 20},
        claims=(
            Claim(
                "a larger batch size reduces the chances of overfitting",
                "Algorithms with code",
                "batch-2048",
                "better",
            ),
        ),
    ),
    "batch-steps": Study(
        question="Does a larger batch reduce overfitting, at equal steps?",
        base="plain",
        arms={
            f"batch-{size}": {"batch_size": size, "epochs": size // 16} for size in (32, 128, 512)
        },
        sizes=(10000,),
        seeds=5,
        settings={"hidden": (512, 512)},
        claims=(
            Claim(
                "a larger batch size reduces the chances of overfitting",
                "Algorithms with code",
                "batch-512",
                "better",
            ),
        ),
    ),
}
