"""The export that Keras alone opens: layers of this project become Keras' own, others are refused."""

import json
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from keras import layers

from common.basics.errors import RecipeError
from common.export.conversion import export
from common.layers import fast_rnn
from common.layers.batch_norm import BatchNormalization
from common.layers.fast_lstm import BidirectionalLSTM

OPEN = """
import sys
import keras
import numpy as np
model = keras.saving.load_model(sys.argv[1])
assert "common" not in sys.modules
np.save(sys.argv[3], keras.ops.convert_to_numpy(model(np.load(sys.argv[2]))))
"""


def saved(model, folder):
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.1, 0.6, w.shape).astype(w.dtype) for w in model.weights])
    # With the optimizer of a training, which Keras could not make either.
    model.compile(keras.optimizers.Adam(), "mse")
    model.save(folder / "best.keras")
    return folder / "best.keras"


def recurrent():
    x = keras.Input((None,), dtype="int32", name="tokens")
    y = layers.Embedding(20, 3)(x)
    y = BidirectionalLSTM(layers.LSTM(4, return_sequences=True))(y)
    y = fast_rnn.GRU(3, return_sequences=True)(y)
    y = BatchNormalization(momentum=0.9)(layers.Dense(5)(fast_rnn.LSTM(2)(y)))
    return keras.Model(x, layers.Dense(1, name="y")(y))


@pytest.mark.slow
def test_faster_layers_become_those_of_keras_with_the_same_answers(tmp_path):
    path, tokens = saved(recurrent(), tmp_path), np.arange(1, 13, dtype="int32").reshape(2, 6)
    model = keras.saving.load_model(path, compile=False)
    result = export(path, "keras", tmp_path / "model.keras", tokens)
    assert result.max_difference < 1e-5
    np.save(tmp_path / "x.npy", tokens)
    words = [tmp_path / "model.keras", tmp_path / "x.npy", tmp_path / "y.npy"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", OPEN, *map(str, words)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "y.npy")
    np.testing.assert_allclose(found, model.predict(tokens, verbose=0), atol=1e-5)
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        held = json.dumps(json.loads(archive.read("config.json")))
    assert "keras_recipe_box" not in held
    assert "common." not in held
    assert "Adam" not in held


@keras.saving.register_keras_serializable(package="some_recipe")
class Own(layers.Layer):
    def call(self, x):
        return 2 * x


def test_layers_that_keras_does_not_have_are_named(tmp_path):
    x = keras.Input((3,), name="x")
    path = saved(keras.Model(x, layers.Dense(2)(Own()(x))), tmp_path)
    with pytest.raises(RecipeError, match="Keras alone does not have Own; the formats savedmodel"):
        export(path, "keras", tmp_path / "model.keras", np.ones((2, 3), "float32"))
    assert not (tmp_path / "model.keras").exists()
