"""Recurrent layers with PyTorch on a CPU: Keras' own, those of common/layers, plain PyTorch.

    KERAS_BACKEND=torch python tests/benchmarks/recurrent.py [--seconds 3] [--repeats 5]

Two networks, with batches that stay the same. The one of lag_rnn: a recurrent layer of 64 units over 200
steps, a dense layer, squared error, Adam, batches of 64. The one of translation_seq2seq with its presets
`dates` and `best`, on rows as long as theirs. The cells take turns; given are medians over the turns, in
CPU seconds, as other programs may run meanwhile. What is found goes into results/recurrent.json, and by
`make bench` into README.md.
"""

import argparse
import functools
import json
import statistics
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent.parent))
BATCH, STEPS, UNITS = 64, 200, 64
LAYERS = ("SimpleRNN", "GRU", "LSTM")
TRANSLATIONS = {"dates": (30, 12), "best": (17, 17)}
"""Mean number of tokens of source and target, by preset."""
WAYS = ("Keras", "recipe", "plain PyTorch")
# As in throughput.py: learnt by heart, one batch would leave denormal gradients.
TINY = 1e-6


def trainer_of(model, *data):
    """Returns a function that trains one step as `fit` does; train_on_batch builds anew each time."""
    model.train_on_batch(*data)
    return lambda: model.train_function([data])


def lag_trainer(name, way):
    """Returns a function that trains one step of lag_rnn's network, made in one of WAYS."""
    import keras
    import numpy as np
    import torch
    from torch import nn

    from common.layers import fast_rnn
    from recipes.lag_rnn.problems import adding

    x, y = adding(BATCH, STEPS, np.random.default_rng(0))
    if way == "plain PyTorch":
        layer = {"SimpleRNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}[name](
            2, UNITS, batch_first=True
        )
        head = nn.Linear(UNITS, 1)
        optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], TINY)
        inputs, targets = torch.from_numpy(x), torch.from_numpy(y)

        def step():
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(head(layer(inputs)[0][:, -1]), targets)
            loss.backward()
            optimizer.step()
            return float(loss)

        return step
    module = keras.layers if way == "Keras" else fast_rnn
    inputs = keras.Input((STEPS, 2))
    outputs = keras.layers.Dense(1)(getattr(module, name)(UNITS)(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(TINY), "mse")
    return trainer_of(model, x, y)


def translation_batch(preset, config):
    """Returns source ids, target ids with START before them, and the ids that come next."""
    import numpy as np

    random = np.random.default_rng(0)

    def rows(mean):
        lengths = random.integers(mean // 2, 3 * mean // 2 + 1, config.batch_size)
        ids = random.integers(4, config.vocabulary_size, (len(lengths), lengths.max()))
        return np.where(np.arange(lengths.max()) < lengths[:, None], ids, 0).astype("int32")

    source, following = (rows(mean) for mean in TRANSLATIONS[preset])
    start = np.full((len(following), 1), 2, "int32")
    return source, np.concatenate([start, following[:, :-1]], axis=1), following


def translation_trainer(preset, way):
    """Returns a function that trains one step of translation_seq2seq's network, made in one of WAYS."""
    import keras
    import torch
    from torch import nn

    from common.layers import fast_lstm, fast_rnn
    from common.layers.fast_adam import FusedAdam
    from recipes.translation_seq2seq import decoder
    from recipes.translation_seq2seq.model import build_model
    from recipes.translation_seq2seq.teaching import TokenCrossentropy
    from recipes.translation_seq2seq.train import PRESETS
    from tests.benchmarks.peers import Seq2Seq

    config = PRESETS[preset]
    source, target, following = translation_batch(preset, config)
    if way == "plain PyTorch":
        network = Seq2Seq(config).train()
        optimizer = torch.optim.Adam(network.parameters(), TINY)
        inputs = [torch.from_numpy(ids).long() for ids in (source, target)]
        labels = torch.from_numpy(following).long().flatten()

        def step():
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(
                network(*inputs).flatten(0, 1),
                labels,
                ignore_index=0,
                label_smoothing=config.label_smoothing,
            )
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
            optimizer.step()
            return float(loss)

        return step
    own = way == "recipe"
    decoder.LSTM = fast_rnn.LSTM if own else keras.layers.LSTM
    model = build_model(config)
    decoder.LSTM = fast_rnn.LSTM
    model.compile(
        (FusedAdam if own else keras.optimizers.Adam)(TINY, global_clipnorm=config.clip_norm),
        TokenCrossentropy(config.label_smoothing),
    )
    fast_lstm.PLAIN = not own
    train = trainer_of(model, (source, target), following, (following != 0).astype("float32"))

    def step():
        # The encoder asks for it at every step.
        fast_lstm.PLAIN = not own
        return train()

    return step


CELLS = {
    **{name: functools.partial(lag_trainer, name) for name in LAYERS},
    **{
        f"translation_seq2seq, {preset}": functools.partial(translation_trainer, preset)
        for preset in TRANSLATIONS
    },
}


def measure(seconds, repeats):
    """Returns {network: {way: training steps per CPU second}}, medians."""
    found = {}
    for name, trainer in CELLS.items():
        steps = {way: trainer(way) for way in WAYS}
        for step in steps.values():
            step()
        speeds = {way: [] for way in WAYS}
        for _ in range(repeats):
            for way, step in steps.items():
                count, begun = 0, time.process_time()
                while time.process_time() - begun < seconds:
                    step()
                    count += 1
                speeds[way].append(count / (time.process_time() - begun))
        found[name] = {way: round(statistics.median(each), 2) for way, each in speeds.items()}
        print(name, found[name], flush=True)
    return found


def section(held):
    """Returns the Markdown of the README's section, of what results/recurrent.json holds."""
    heads = ["network", *WAYS, "recipe / Keras", "recipe / plain PyTorch"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, speeds in held["speeds"].items():
        cells = [f"{speeds[way]:.1f}" for way in WAYS]
        cells += [f"{speeds['recipe'] / speeds[way]:.2f}" for way in ("Keras", "plain PyTorch")]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(
        [
            *lines,
            "",
            f"Training steps per CPU second; layers with {UNITS} units, {STEPS} steps and batches of "
            f"{BATCH}; medians of "
            f"{held['repeats']} turns of {held['seconds']:g} s. {held['machine']}.",
        ]
    )


def main():
    """Measures, and writes results/recurrent.json."""
    from common.basics import backend
    from common.runs import environment

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn")
    parser.add_argument("--repeats", type=int, default=5, help="turns")
    options = parser.parse_args()
    if backend.start() != "torch":
        raise SystemExit("error: it measures PyTorch: set KERAS_BACKEND=torch")
    import torch

    speeds = measure(options.seconds, options.repeats)
    told = environment.describe(0, {})
    versions = ", ".join(f"{name} {told['versions'][name]}" for name in ("keras", "torch"))
    threads = torch.get_num_threads()
    held = {
        "machine": f"{threads} thread{'s' * (threads > 1)} of {told['cpu']}, {versions}",
        "seconds": options.seconds,
        "repeats": options.repeats,
        "speeds": speeds,
    }
    (FOLDER / "results" / "recurrent.json").write_text(json.dumps(held, indent=2) + "\n")
    print(section(held))


if __name__ == "__main__":
    main()
