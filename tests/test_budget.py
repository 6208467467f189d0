"""Budgets in steps: by hand, over every recipe, and through a run that goes on."""

import dataclasses

import pytest

from common.data.source import Source
from common.runs import command_line, registry
from common.runs import config as configuration
from common.runs.options import Options
from common.runs.run import Run
from common.training import budget


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 0
    batch_size: int = 64
    epochs: int = 7


BUDGET = budget.Budget(steps=720, smallest_batch=16, most_epochs=60)


@pytest.mark.parametrize(
    ("examples", "batch_size", "epochs"),
    [
        (47_500, 64, 7),  # 5,201 steps: as it is.
        (6_600, 64, 7),  # 728 steps, just enough.
        (6_000, 64, 8),  # 94 a pass.
        (500, 16, 23),  # 64 -> 32 -> 16, as 500 / 16 is 31.25; 32 a pass.
        (300, 16, 38),  # 19 a pass, so 722.
        (20, 16, 60),  # 360 would be 720 steps, but these few would be learnt by heart.
    ],
)
def test_batches_shrink_and_epochs_make_up_the_steps(examples, batch_size, epochs):
    fitted = BUDGET.fit(Config(), examples)
    assert (fitted.batch_size, fitted.epochs) == (batch_size, epochs)


def test_what_the_user_chose_stays():
    fitted = BUDGET.fit(Config(batch_size=100), 300, given={"batch_size"})
    assert (fitted.batch_size, fitted.epochs) == (100, 60)
    fitted = BUDGET.fit(Config(epochs=3), 300, given={"epochs"})
    assert (fitted.batch_size, fitted.epochs) == (16, 3)
    assert BUDGET.fit(Config(epochs=100), 20).epochs == 100


# Recipes whose real set is small: their presets are fitted to more examples, too.
OF_FEW = {"diabetes_mlp"}


@pytest.mark.parametrize("name", registry.names())
def test_every_recipe_fits_every_preset_to_few_examples_and_leaves_the_real_set_alone(name):
    module = registry.load(name)
    if not hasattr(module, "fit_to"):
        pytest.skip("reads no data of the user's")
    for preset, config in module.PRESETS.items():
        if getattr(config, "transfer", None) == "features":
            assert module.fit_to(config, 255, ()) == config  # A solver makes no steps.
            continue
        few = module.fit_to(config, 255, ())
        steps = few.epochs * -(-255 // few.batch_size)
        assert steps >= min(module.BUDGET.steps, 16 * module.BUDGET.most_epochs), preset
        if preset != "sample" and name not in OF_FEW:
            assert module.fit_to(config, 21_000, ()) == config, preset
        everything = set(configuration.field_names(module.Config))
        assert module.fit_to(config, 255, everything) == config, preset


def test_fields_that_a_command_line_sets():
    def given(*words):
        return command_line.given_fields(Config, words)

    assert given("--epochs", "3", "--batch-size=4", "--data", "x") == {"epochs", "batch_size"}
    assert given("--batch_size", "4") == {"batch_size"}
    # What a file holds was chosen as a whole.
    assert given("--config", "best.json") == {"seed", "batch_size", "epochs"}


@pytest.fixture
def own(tmp_path, tiny_data):
    module = registry.load("mnist_cnn")

    def run(config=module.PRESETS["best"], **options):
        options = Options(data=str(tiny_data["image"]), run_dir=tmp_path / "run", **options)
        return Run("mnist_cnn", config, options, preset="best")

    return module, run


def test_a_run_is_fitted_once_and_goes_on_as_it_was_started(own):
    module, run = own
    first = run()
    first.check()
    first.fit_to_data(module, ())
    assert first.config.epochs > module.PRESETS["best"].epochs
    first.open()
    again = run()
    again.check()
    # Another rule, as a later version may have: the run keeps its own.
    again.fit_to_data(module.__class__("other"), ())
    assert again.config == first.config
    # What `Run.command` says.
    by_file = run(config=first.config)
    by_file.check()
    assert by_file.config == first.config


def test_another_preset_is_another_run(own):
    module, run = own
    first = run()
    first.check()
    first.fit_to_data(module, ())
    first.open()
    other = dataclasses.replace(module.PRESETS["best"], learning_rate=1e-4)
    with pytest.raises(configuration.UsageError, match="learning_rate"):
        run(config=other).check()


def test_built_in_data_is_what_presets_are_made_for(tmp_path):
    module = registry.load("mnist_cnn")
    options = Options(data="sample", run_dir=tmp_path / "run")
    run = Run("mnist_cnn", module.PRESETS["best"], options)
    run.check()
    run.fit_to_data(module, ())
    assert run.config == module.PRESETS["best"]


def test_a_search_starts_from_what_a_run_would_train(tiny_data):
    module = registry.load("imdb_bilstm")
    start = module.PRESETS["best"]
    fitted = budget.fit_to_data(module, start, (), Source(str(tiny_data["text"])))
    assert fitted.epochs > start.epochs
    assert fitted.batch_size < start.batch_size


def test_what_is_printed(own):
    module, run = own
    one = run()
    splits = one.load(module.load_data)
    assert budget.describe(one, splits) == (
        "79 images to train on: 8 epochs in batches of 32, 24 steps"
    )
    one.fit_to_data(module, ())
    assert budget.describe(one, splits) == (
        "79 images to train on: 60 epochs in batches of 16, 300 steps (fitted to your data; preset "
        "best has 8 in batches of 32; --epochs and --batch-size choose others)"
    )
