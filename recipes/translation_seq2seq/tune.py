"""What to search for translation_seq2seq.

    recipes tune translation_seq2seq --preset dates --method bayesian --trials 20
    make tune-translation_seq2seq METHOD=evolution TRIALS=50

Every Float has a step, so that a grid is possible. How answers are searched (beam, length penalty) costs
no training: the report of a run compares them on the validation split.
"""

from dataclasses import replace

from common.tuning.space import multiples


def search_space(hp, base):
    """Returns the Config of a point of the space.

    Args:
        hp: keras_tuner.HyperParameters; asking it for a value declares the hyperparameter.
        base: Config that the search starts from; fields not named here keep its values.
    """
    return replace(
        base,
        units=hp.Choice("units", multiples(base.units), default=base.units),
        attention=hp.Choice("attention", ["dot", "additive"]),
        dropout_rate=hp.Float("dropout_rate", 0.0, 0.5, step=0.1),
        label_smoothing=hp.Float("label_smoothing", 0.0, 0.2, step=0.1),
        learning_rate=hp.Float("learning_rate", 5e-4, 3.2e-2, step=2, sampling="log"),
        batch_size=hp.Choice("batch_size", multiples(base.batch_size), default=base.batch_size),
    )


if __name__ == "__main__":
    from common.cli import tune_script

    raise SystemExit(tune_script(__file__))
