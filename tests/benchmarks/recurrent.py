"""Recurrent layers with PyTorch on a CPU: Keras' own, common/layers/fast_rnn.py, plain PyTorch.

    KERAS_BACKEND=torch python tests/benchmarks/recurrent.py [--seconds 3] [--repeats 5]

The network of lag_rnn: a recurrent layer of 64 units over 200 steps, a dense layer, squared error, Adam,
batches of 64 that stay the same. The cells take turns; given are medians over the turns, in CPU seconds,
as other programs may run meanwhile. What is found goes into results/recurrent.json, and by `make bench`
into README.md.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent.parent))
BATCH, STEPS, UNITS = 64, 200, 64
LAYERS = ("SimpleRNN", "GRU", "LSTM")
WAYS = ("Keras", "fast_rnn", "plain PyTorch")
# As in throughput.py: learnt by heart, one batch would leave denormal gradients.
TINY = 1e-6


def trainer(name, way):
    """Returns a function that trains one step, of a network made in one of WAYS."""
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
    return lambda: model.train_on_batch(x, y)


def measure(seconds, repeats):
    """Returns {layer: {way: examples per CPU second}}, medians."""
    found = {}
    for name in LAYERS:
        steps = {way: trainer(name, way) for way in WAYS}
        for step in steps.values():
            step()
        speeds = {way: [] for way in WAYS}
        for _ in range(repeats):
            for way, step in steps.items():
                count, begun = 0, time.process_time()
                while time.process_time() - begun < seconds:
                    step()
                    count += 1
                speeds[way].append(BATCH * count / (time.process_time() - begun))
        found[name] = {way: round(statistics.median(each), 1) for way, each in speeds.items()}
        print(name, found[name], flush=True)
    return found


def section(held):
    """Returns the Markdown of the README's section, of what results/recurrent.json holds."""
    heads = ["layer", *WAYS, "fast_rnn / Keras", "fast_rnn / plain PyTorch"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, speeds in held["speeds"].items():
        cells = [f"{speeds[way]:,.0f}" for way in WAYS]
        cells += [f"{speeds['fast_rnn'] / speeds[way]:.2f}" for way in ("Keras", "plain PyTorch")]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(
        [
            *lines,
            "",
            f"Examples per CPU second, {UNITS} units, {STEPS} steps, batches of {BATCH}; medians of "
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
