"""What every recipe's search space promises. Nothing here names a recipe."""

import dataclasses
import hashlib
import json
import re

import keras
import keras_tuner
import numpy as np
import pytest

from common.runs import config as configuration
from common.runs import registry
from common.runs.options import Options
from common.runs.run import Run
from common.training import fit as training
from common.tuning import fixed
from common.tuning.definition import Definition, make_tuner, search_space_of
from common.tuning.options import TuneOptions as SweepOptions
from common.tuning.point import make_config
from common.tuning.ranges import domain
from common.tuning.space import Space
from common.tuning.trial import COMPLETED
from tests.helpers import data_of, kind_of, leave_slowest_to_slow_tests, plainest, short

pytestmark = pytest.mark.parametrize("name", registry.names())


def base_of(name, **changes):
    module = registry.load(name)
    # Where the best preset needs more than data, the plainest one.
    preset = plainest(name) if hasattr(module, "check") else "best"
    base = module.PRESETS.get(preset, next(iter(module.PRESETS.values())))
    # Not every recipe has batches of examples.
    wanted = {**short(base, epochs=2), **changes}
    fields = configuration.field_names(module.Config)
    return dataclasses.replace(base, **{k: v for k, v in wanted.items() if k in fields})


def definition_of(name, data, base, **changes):
    return Definition(
        recipe=name,
        method="random",
        base=configuration.to_dict(base),
        preset="best",
        data=str(data),
        **{"trials": 2, **changes},
    )


class Captured(Exception):
    """Carries what fit() was called with."""


def fingerprint(name, config, data, directory, monkeypatch):
    """Returns what would be trained: network, optimizer, loss, batches, epochs; nothing is."""

    def fit(model, run, train, validation, **options):
        # A step of the recipe's own may need no loss of Keras.
        loss = model.loss.get_config() if hasattr(model.loss, "get_config") else model.loss
        # With the last batch come the draws of a step of the recipe's own.
        last = train.at_epoch(options["epochs"] - 1)[train.num_batches - 1]
        middle = options["epochs"] * train.num_batches // 2
        between = train.at_epoch(middle // train.num_batches)[middle % train.num_batches]
        inputs = keras.tree.flatten([train[0][0], between, last])
        batch = hashlib.sha256(b"".join(part.tobytes() for part in inputs)).hexdigest()
        optimizer = model.optimizer.get_config() | {"name": model.optimizer.name}
        options.pop("callbacks", None)
        raise Captured(
            json.dumps(
                [model.to_json(), optimizer, loss, train.batch_size, batch, options],
                default=str,
                sort_keys=True,
            )
        )

    monkeypatch.setattr(training, "fit", fit)
    keras.utils.clear_session()
    run = Run(name, config, Options(data=str(data), run_dir=directory, overwrite=True))
    try:
        registry.load(name).train(config, run.open())
    except Captured as captured:
        # Keras numbers what it makes, also for a backbone that is trained on the way.
        return re.sub(r"_\d+\b", "", captured.args[0])
    finally:
        run._lock_file.close()
    raise AssertionError("the recipe did not call fit")


def test_every_tuned_field_arrives_in_what_is_trained(name, tiny_data, tmp_path, monkeypatch):
    # Smaller batches than the tiny data have examples, whatever the multiple.
    base, data = base_of(name, batch_size=16), data_of(name, tiny_data)
    tuner = make_tuner(definition_of(name, data, base), tmp_path / "sweep")
    space, search_space = tuner.oracle.space, search_space_of(name)
    random = np.random.default_rng(0)

    def train(point):
        hp = keras_tuner.HyperParameters()
        hp.values = dict(point)
        config = make_config(search_space, hp, base)
        return fingerprint(name, config, data, tmp_path / "run", monkeypatch)

    # A share of one epoch may round to the same: a field has several points to show itself.
    tested, tries = set(), dict.fromkeys(space.names, 8)
    while tested != set(space.names):
        point = space.draw(random, set())
        once = train(point)
        for entry in space.entries:
            if entry.name in tested or entry.name not in point or entry.name in space.parents:
                continue
            other = next(v for v in domain(entry) if v != point[entry.name])
            changed = train({**point, entry.name: other})
            tries[entry.name] -= changed == once
            assert tries[entry.name], (
                f"{entry.name}: {point[entry.name]} -> {other} changes nothing"
            )
            if changed != once:
                tested.add(entry.name)
        for parent in space.parents - tested:
            other = next(v for v in domain(_entry(space, parent)) if v != point[parent])
            assert train(space.complete({**point, parent: other}, random)) != once
            tested.add(parent)
    assert train(point) == once


def _entry(space, name):
    return next(entry for entry in space.entries if entry.name == name)


def test_any_point_is_a_valid_config_and_a_grid_is_possible(name):
    base = base_of(name)
    hp = keras_tuner.HyperParameters()
    tuner_space = _declared(name, base, hp)
    tuner_space.require_finite()
    assert tuner_space.size >= 100
    random = np.random.default_rng(0)
    for _ in range(100):
        given = keras_tuner.HyperParameters()
        given.values = tuner_space.draw(random, set())
        make_config(search_space_of(name), given, base)


def test_batch_size_and_epochs_are_relative_to_what_the_search_starts_from(name):
    base = base_of(name, epochs=6, batch_size=10)
    space = _declared(name, base, keras_tuner.HyperParameters())
    batches = "batch_size" in space.names
    assert domain(_entry(space, "epochs")) == [3, 6, 12]
    if batches:
        assert domain(_entry(space, "batch_size")) == [5, 10, 20]
    # So flags that set them are not overridden, and the defaults are those of the base.
    start = base_of(name, epochs=1)
    for changed in (base, dataclasses.replace(start, epochs=2), base_of(name, epochs=1)):
        assert fixed.ignored_fields(search_space_of(name), start, changed) == []
    config = search_space_of(name)(keras_tuner.HyperParameters(), base)
    assert config.epochs == 6
    assert getattr(config, "batch_size", 10) == 10
    # No point twice: half of one epoch is one.
    space = _declared(name, start, keras_tuner.HyperParameters())
    assert domain(_entry(space, "epochs")) == [1, 2]


def _declared(name, base, hp):
    from common.tuning.methods import RandomOracle
    from common.tuning.point import Declared

    tuner = keras_tuner.Tuner.__new__(keras_tuner.Tuner)
    tuner.oracle = RandomOracle("val_accuracy")
    tuner.hypermodel = Declared(lambda hp: search_space_of(name)(hp, base))
    tuner._populate_initial_space()
    return Space(tuner.oracle.get_space())


def test_no_flag_of_the_search_hides_a_hyperparameter(name):
    fields = set(configuration.field_names(registry.load(name).Config))
    assert not fields & set(configuration.field_names(SweepOptions))


def test_trials_train_without_the_test_split(name, tiny_data, tmp_path, capsys):
    leave_slowest_to_slow_tests(name)
    data, folds = data_of(name, tiny_data), 2
    if kind_of(name) == "task":
        folds = 1  # Validation has whole tasks, which cannot be put together with drawings.
    base = base_of(name, epochs=1, batch_size=16)
    objective = registry.load(name).TASK.objective
    definition = definition_of(
        name, data, base, folds=folds, fixed={"epochs": "1"}, objective=objective
    )
    tuner = make_tuner(definition, tmp_path / "sweep")
    loaded = tuner._data.load_data

    def load(config, source):
        splits = loaded(config, source)
        splits._test = _unread
        return splits

    tuner._data.load_data = load
    # One point, so that the test is quick: the first of the search.
    tuner.oracle.max_trials = 1
    tuner.search()
    (trial,) = tuner.oracle.store.read()
    assert trial.status == COMPLETED, trial.message
    assert len(trial.curves) == folds
    assert trial.score == pytest.approx(np.mean([c[objective][0] for c in trial.curves]))
    assert (tmp_path / "sweep" / "trials.csv").read_text().count("\n") == 2
    # A trial is quiet: the sweep says what there is to say.
    assert "epoch" not in capsys.readouterr().out
    assert "recipes tune" in (registry.recipes_folder() / name / "tune.py").read_text()


def _unread():
    raise AssertionError("the test split was read")
