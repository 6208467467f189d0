"""What every recipe promises, checked over every folder of recipes/. Nothing here names a recipe."""

import dataclasses
import typing

import docstring_parser
import keras
import numpy as np
import pytest

from common.basics.backend import jit_compile
from common.basics.flags import words
from common.data import Source
from common.runs import command_line, registry
from common.runs import config as configuration
from common.runs.run import Options, Run, open_finished
from common.studies import results, tables
from common.training.batches import inference_batches, predict
from common.training.fit import parameter_count
from common.training.loading import load_model
from common.tuning import evidence
from tests.helpers import (
    assert_equal_weights,
    kind_of,
    other_value,
    tiny_config,
    train_tiny,
)

pytestmark = pytest.mark.parametrize("name", registry.names())


@pytest.fixture(scope="module")
def trained(tiny_data, tmp_path_factory):
    """Returns a function from a recipe's name to (run, metrics, module), trained once."""
    done = {}

    def get(name):
        if name not in done:
            directory = tmp_path_factory.mktemp(name) / "run"
            run, metrics = train_tiny(name, tiny_data[kind_of(name)], directory)
            done[name] = run, metrics, registry.load(name)
        return done[name]

    return get


def batch(name, tiny_data, count, tmp_path):
    """Returns model inputs and one-hot labels of `count` examples, and the model for them."""
    module = registry.load(name)
    config = tiny_config(name)
    splits = module.load_data(config, Source(str(tiny_data[kind_of(name)])))
    x, y = splits.train.x[:count], splits.train.y[:count]
    if hasattr(module, "encode"):
        from common.data.text import TextEncoder

        run = Run(name, config, Options(run_dir=tmp_path))
        TextEncoder.fit(splits.train.x, config.vocabulary_size, config.max_tokens).save(
            run.path("vocabulary.json")
        )
        x = module.encode(run, x)
    keras.utils.set_random_seed(1)
    classes = len(splits.info.class_names)
    model = registry.load_model_module(name).build_model(config, classes)
    units = model.output_shape[-1]
    y = y[:, None].astype("float32") if units == 1 else np.eye(units, dtype="float32")[y]
    loss = "binary_crossentropy" if units == 1 else "categorical_crossentropy"
    return model, loss, np.asarray(x), y


def test_files_are_there(name):
    folder = registry.recipes_folder() / name
    for file in ("README.md", "model.py", "train.py", "tune.py", "__init__.py"):
        assert (folder / file).exists(), f"recipes/{name}/{file} is missing"
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert f"recipes train {name}" in readme, "the README shows no command"
    for marker in (tables.BEGIN, tables.END, evidence.BEGIN, evidence.END):
        assert marker in readme, f"the README lacks the line {marker}"
    assert registry.summary(name)


def test_every_field_is_documented_and_reachable_by_flag(name):
    cls = registry.load(name).Config
    documented = {
        item.arg_name: item.description for item in docstring_parser.parse_from_object(cls).params
    }
    for field in dataclasses.fields(cls):
        assert documented.get(field.name), f"{name}: {field.name} has no docstring"
        for value in other_value(cls, field):
            try:
                expected = dataclasses.replace(cls(), **{field.name: value})
            except configuration.UsageError:
                continue
            parsed = command_line.parse(
                cls, words(field.name, value), prog="test", description="", default=cls()
            )
            assert parsed == expected
            break
        else:
            pytest.fail(f"no other value of {field.name} is allowed")


def test_values_that_no_training_can_use_are_refused(name):
    cls = registry.load(name).Config
    refused = [("seed", configuration.LARGEST_SEED + 1), ("seed", -1)]
    for field, hint in typing.get_type_hints(cls).items():
        if hint in (float, float | None):
            refused += [(field, value) for value in map(float, ("inf", "-inf", "nan"))]
        if typing.get_origin(hint) is tuple:
            refused.append((field, ()))
    for field, value in refused:
        with pytest.raises(configuration.UsageError, match=field):
            cls(**{field: value})
    assert cls(seed=configuration.LARGEST_SEED).seed == configuration.LARGEST_SEED


def test_every_preset_builds_and_survives_json(name):
    module = registry.load(name)
    assert {"best", "article"} <= set(module.PRESETS) or len(module.PRESETS) >= 2
    for preset, config in module.PRESETS.items():
        values = configuration.to_dict(config)
        assert configuration.from_dict(module.Config, values) == config, preset
        model = registry.load_model_module(name).build_model(config)
        assert not model.compiled, "build_model must not compile"
        assert parameter_count(model) > 0
        measured = [run for run in results.read(name) if run["preset"] == preset]
        for run in measured:
            assert run["parameters"] == parameter_count(model), f"results.json of {preset} is stale"
            now = dataclasses.replace(config, seed=run["seed"])
            assert not configuration.changes(now, run["config"]), f"{preset} changed since"


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_output_is_a_distribution_over_the_classes(name, classes):
    model = registry.load_model_module(name).build_model(tiny_config(name), classes)
    shape = [7 if size is None else size for size in model.input_shape[1:]]
    inputs = np.random.default_rng(0).integers(1, 100, (6, *shape)).astype(model.inputs[0].dtype)
    probabilities = predict(model, inference_batches(inputs, batch_size=4))
    assert probabilities.shape == (6, classes)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)


def test_one_step_changes_every_trainable_weight(name, tiny_data, tmp_path):
    model, loss, x, y = batch(name, tiny_data, 16, tmp_path)
    model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=jit_compile())
    before = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    model.train_on_batch(x, y)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert np.any(keras.ops.convert_to_numpy(weight) != old), f"{weight.path} did not move"


def test_loss_falls_on_64_memorised_examples(name, tiny_data, tmp_path):
    model, loss, x, y = batch(name, tiny_data, 64, tmp_path)
    model.compile(keras.optimizers.Adam(3e-3), loss, jit_compile=jit_compile())
    losses = [float(model.train_on_batch(x, y)) for _ in range(25)]
    # train_on_batch returns the loss of this call's batch averaged with those before it.
    assert np.mean(losses[-3:]) < 0.85 * losses[0]


def test_same_seed_same_history_and_another_seed_another(name, trained, tiny_data, tmp_path):
    run, _, _ = trained(name)
    data = tiny_data[kind_of(name)]
    again, _ = train_tiny(name, data, tmp_path / "again")
    assert_equal_weights(run.path("final.keras"), again.path("final.keras"))
    assert run.path("metrics.json").read_bytes() == again.path("metrics.json").read_bytes()
    other, _ = train_tiny(name, data, tmp_path / "other", seed=1)
    with pytest.raises(AssertionError):
        assert_equal_weights(run.path("final.keras"), other.path("final.keras"))


def test_saved_model_reloads_to_the_same_predictions(name, trained):
    run, _, module = trained(name)
    opened, _ = open_finished(run.directory)
    splits = module.load_data(opened.config, opened.source)
    x = module.encode(opened, splits.test.x) if hasattr(module, "encode") else splits.test.x
    probabilities = predict(load_model(run.path("best.keras")), inference_batches(x))
    with np.load(run.path("predictions.npz")) as saved:
        np.testing.assert_allclose(probabilities, saved["test_probabilities"], atol=1e-6)


def test_the_whole_test_split_is_counted(name, trained):
    run, metrics, module = trained(name)
    splits = module.load_data(run.config, run.source)
    assert metrics["test"]["count"] == len(splits.test.y)
    assert metrics["validation"]["count"] == len(splits.val.y)
    assert metrics["epochs"] == 2


def test_interrupted_run_resumes_to_the_same_weights(name, trained, tiny_data, tmp_path):
    """Stopped by an exception after the first epoch; tests/test_resume.py kills processes."""
    run, metrics, module = trained(name)
    options = dataclasses.replace(run.options, run_dir=tmp_path / "run")
    stopped = Run(name, run.config, options).open()

    class Stop(Exception):
        pass

    from common.training.progress import Progress

    original = Progress.on_epoch_end
    try:

        def stop(self, epoch, logs=None):
            raise Stop

        Progress.on_epoch_end = stop
        with pytest.raises(Stop):
            module.train(stopped.config, stopped)
    finally:
        Progress.on_epoch_end = original
    assert not stopped.finished
    resumed = Run(name, run.config, options).open()
    assert module.train(resumed.config, resumed) == metrics
    assert_equal_weights(run.path("final.keras"), resumed.path("final.keras"))
