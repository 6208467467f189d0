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
from common.runs import bounds, command_line, headline, registry
from common.runs import config as configuration
from common.runs.finished import open_finished
from common.runs.run import Run
from common.runs.scores import read as read_scores
from common.studies import results, study_record, tables
from common.studies.study import of_recipe
from common.tasks.classification import Classification
from common.training.finish import parameter_count
from common.training.fit import build_metrics
from common.training.loading import load_model
from common.training.outputs import inference_batches, predict
from common.tuning import evidence
from tests.helpers import (
    assert_equal_weights,
    data_of,
    once,
    other_value,
    tiny_config,
    train_tiny,
)

# And two tiny recipes of other tasks: a regression with two inputs, and a class for every token.
NAMES = [*registry.names(), "adding", "tagging"]
pytestmark = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def trained(tiny_data, tmp_path_factory):
    """Returns a function from a recipe's name to (run, metrics, module), trained once."""
    done = {}

    def get(name):
        if name not in done:
            directory = tmp_path_factory.mktemp(name) / "run"
            run, metrics = train_tiny(name, data_of(name, tiny_data), directory)
            done[name] = run, metrics, registry.load(name)
        return done[name]

    return get


def begun(name, data, directory, monkeypatch, **changes):
    """Returns the compiled model and the batches that a recipe hands to `fit`."""

    class Begun(Exception):
        pass

    def fit(model, run, train, *more, **settings):
        raise Begun(model, train)

    with monkeypatch.context() as patch:
        patch.setattr("common.training.fit.fit", fit)
        with pytest.raises(Begun) as caught:
            train_tiny(name, data, directory, **changes)
    return caught.value.args


@once
def test_files_are_there(name):
    folder = registry.folder(name)
    for file in ("model.py", "train.py", "tune.py", "__init__.py"):
        assert (folder / file).exists(), f"recipes/{name}/{file} is missing"
    assert registry.summary(name)
    if name not in registry.names():
        return
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert f"recipes train {name}" in readme, "the README shows no command"
    markers = [tables.BEGIN, tables.END, evidence.BEGIN, evidence.END]
    markers += [study_record.BEGIN, study_record.END] * bool(of_recipe(name))
    for marker in markers:
        assert marker in readme, f"the README lacks the line {marker}"


@once
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


@once
def test_values_that_no_training_can_use_are_refused(name):
    cls = registry.load(name).Config
    refused = [("seed", bounds.LARGEST_SEED + 1), ("seed", -1)]
    for field, hint in bounds.field_types(cls).items():
        if hint in (float, float | None):
            refused += [(field, value) for value in map(float, ("inf", "-inf", "nan"))]
        if typing.get_origin(hint) is tuple:
            refused.append((field, ()))
    for field, value in refused:
        with pytest.raises(configuration.UsageError, match=field):
            cls(**{field: value})
    assert cls(seed=bounds.LARGEST_SEED).seed == bounds.LARGEST_SEED


def test_a_subset_of_the_training_split_can_be_asked_for(name):
    module = registry.load(name)
    if "train_examples" not in configuration.field_names(module.Config):
        pytest.skip("generates its examples")
    whole = module.load_data(tiny_config(name), Source("sample"))
    part = module.load_data(tiny_config(name, train_examples=40), Source("sample"))
    assert len(part.train) == 40 < len(whole.train)
    np.testing.assert_array_equal(part.val.x, whole.val.x)
    with pytest.raises(configuration.UsageError, match="train_examples must be at least 0"):
        tiny_config(name, train_examples=-1)


@once
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
            now = dataclasses.replace(config, seed=run["seed"])
            # The tables say of a run whose preset has changed since that it has.
            if not configuration.changes(now, run["config"]):
                stale = f"results.json of {preset} is stale"
                assert run["parameters"] == parameter_count(model), stale


def test_output_is_a_distribution_over_the_classes(name):
    if not isinstance(registry.load(name).TASK, Classification):
        pytest.skip("no classification of whole examples")
    for classes in (2, 3, 5):
        model = registry.load_model_module(name).build_model(tiny_config(name), classes)
        shape = [7 if size is None else size for size in model.input_shape[1:]]
        inputs = np.random.default_rng(0).integers(1, 100, (6, *shape))
        inputs = inputs.astype(model.inputs[0].dtype)
        probabilities = predict(model, inference_batches(inputs, batch_size=4))
        assert probabilities.shape == (6, classes)
        np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)


@once
def test_two_steps_change_every_weight_and_64_examples_can_be_memorised(
    name, tiny_data, tmp_path, monkeypatch
):
    model, batches = begun(name, data_of(name, tiny_data), tmp_path / "run", monkeypatch)
    batches.seed, batches.batch_size = None, 16
    batches.set_epoch(0)
    start, loss = model.get_weights(), model.loss
    model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=jit_compile())
    build_metrics(model, batches)
    for _ in range(2):  # A block whose last scale begins at 0 has no other gradient in the first.
        model.train_on_batch(*batches[0])
    for weight, old in zip(model.weights, start, strict=True):
        moved = np.any(keras.ops.convert_to_numpy(weight) != old)
        assert moved or not weight.trainable, f"{weight.path} did not move"
    model.set_weights(start)
    batches.batch_size = 64
    batches.set_epoch(0)
    model.compile(keras.optimizers.Adam(3e-3), loss, jit_compile=jit_compile())
    build_metrics(model, batches)
    losses = [float(np.ravel(model.train_on_batch(*batches[0]))[0]) for _ in range(25)]
    # train_on_batch returns the loss of this call's batch averaged with those before it.
    assert np.mean(losses[-3:]) < 0.85 * losses[0]


def test_another_seed_trains_another_network(name, tiny_data, tmp_path, monkeypatch):
    """That the same seed trains the same one, the interrupted run below shows."""
    data = data_of(name, tiny_data)
    one, other = (
        begun(name, data, tmp_path / str(seed), monkeypatch, seed=seed) for seed in (0, 1)
    )
    for start in (
        [model.get_weights() for model, _ in (one, other)],
        [keras.tree.flatten(batches[0]) for _, batches in (one, other)],
    ):
        assert not all(np.array_equal(*pair) for pair in zip(*start, strict=True))


def test_saved_model_reloads_to_the_same_answers_and_scores(name, trained):
    run, metrics, module = trained(name)
    opened, _ = open_finished(run.directory)
    splits = module.load_data(opened.config, opened.source)
    encode = (lambda x: module.encode(opened, x)) if hasattr(module, "encode") else (lambda x: x)
    outputs = module.TASK.outputs(load_model(run.path("best.keras")), splits, encode)
    held, problem = module.TASK.read(run.path("predictions.npz"))
    assert problem is None
    for part, values in held.items():
        np.testing.assert_allclose(outputs[part], values, atol=1e-6)
    scores = module.TASK.score(held, splits.test_seen)
    found = headline.of(metrics)
    assert module.TASK.headline_of(scores).value == pytest.approx(found.value, abs=1e-6)
    stored, _ = read_scores(run.directory)
    assert len(stored.scores) == found.count


def test_the_whole_test_split_is_counted(name, trained):
    run, metrics, module = trained(name)
    splits = module.load_data(run.config, run.source)
    assert metrics["test"]["count"] == metrics["headline"]["count"] == len(splits.test)
    assert metrics["validation"]["count"] == len(splits.val)
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
