"""The ladder of attacks, `recipes attack`, and the recipe that trains against attacks."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from common.basics.errors import RecipeError, UsageError
from common.cli import main
from common.runs import registry
from common.tasks import attacked, ladder
from common.training import adversarial
from common.training.attacks import Target
from tests.helpers import assert_equal_weights, train_tiny
from tests.test_attacks import SHAPE, answered


def test_the_attack_by_the_share_of_the_training_that_is_done():
    module = registry.load("mnist_adversarial")
    config = module.Config(epsilon=0.2, step_size=0.05, fgsm_share=0.3, ramp_share=0.2)
    np.testing.assert_allclose(adversarial.attack_of(config, 0.02), (0.02, 0.025, 1))
    np.testing.assert_allclose(adversarial.attack_of(config, 0.1), (0.1, 0.125, 1))
    np.testing.assert_allclose(adversarial.attack_of(config, 0.29), (0.2, 0.25, 1))
    np.testing.assert_allclose(adversarial.attack_of(config, 0.3), (0.2, 0.05, 7))


# The ladder


def test_the_minimum_is_over_images_and_the_checks_judge(monkeypatch):
    x, y, model, _ = answered(40)
    monkeypatch.setattr(ladder, "MANY", 10)
    images = (x * 255).round().astype("uint8")
    found = ladder.climb(Target(model), images, y, ladder.Effort(0.02, restarts=2, queries=30))
    shares = [rung["accuracy"] for rung in found["rungs"]]
    assert shares[0] == 1
    assert found["minimum"]["accuracy"] <= min(shares)
    assert found["minimum"]["held"] == round(40 * found["minimum"]["accuracy"])
    assert [check["passed"] for check in found["checks"]] == [True] * 3
    assert found["examples"] == 40


@pytest.mark.parametrize(
    ("shares", "failed"),
    [
        ((0.5, 0.4, 0.3, 0.32, 0.0), []),
        ((0.3, 0.4, 0.3, 0.32, 0.0), ["one step does not beat many"]),
        ((0.5, 0.4, 0.3, 0.2, 0.0), ["no gradients do not beat gradients"]),
        ((0.5, 0.4, 0.3, 0.3, 0.2), ["an attack without bound turns everything"]),
    ],
)
def test_what_hidden_gradients_look_like(shares, failed):
    found = [check["name"] for check in ladder._checks(*shares) if not check["passed"]]
    assert found == failed


def test_epsilon_is_a_number_or_a_fraction_or_the_recipes():
    class Config:
        epsilon = 0.1

    assert attacked.epsilon_of("8/255", Config(), 3) == pytest.approx(8 / 255)
    assert attacked.epsilon_of("0.3", Config(), 3) == pytest.approx(0.3)
    assert attacked.epsilon_of(None, Config(), 3) == 0.1
    assert attacked.epsilon_of(None, object(), 3) == pytest.approx(8 / 255)
    assert attacked.epsilon_of(None, object(), 1) == 0.3
    # The recipe's is in the maximum norm.
    assert attacked.epsilon_of(None, Config(), 1, "l2") == 2
    assert attacked.epsilon_of(None, Config(), 3, "l2") == 0.5
    assert attacked.epsilon_of("3", Config(), 3, "l2") == 3
    for wrong in ("0", "1.5", "-0.1", "many", "1/0", "nan"):
        with pytest.raises(UsageError, match="--epsilon must be a number above 0"):
            attacked.epsilon_of(wrong, Config(), 1)


def test_any_run_on_images_can_be_attacked(tiny_data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ladder, "MANY", 4)
    monkeypatch.setattr(ladder, "STEPS", 3)
    run, _ = train_tiny("mnist_cnn", tiny_data["image"], tmp_path / "run", epochs=1)
    words = ["--examples", "20", "--restarts", "1", "--queries", "5"]
    before = run.path("metrics.json").read_text()
    assert main(["attack", str(run.directory), *words]) == 0
    shown = capsys.readouterr().out
    assert "a random 20 of the 37 test images" in shown
    found = json.loads(run.path("attack.json").read_text())
    assert found["examples"] == 20
    page = run.path("report.html").read_text()
    assert "What attacks leave" in page
    assert "no gradients do not beat gradients" in page
    assert run.path("metrics.json").read_text() == before
    assert main(["attack", str(run.directory), *words, "--norm", "l2"]) == 0
    assert "each image in the L2 norm changed by at most 2.\n" in capsys.readouterr().out
    found = json.loads(run.path("attack.json").read_text())
    assert (found["norm"], found["epsilon"]) == ("l2", 2.0)
    assert [rung["name"] for rung in found["rungs"]][1] == "one step"


def test_what_cannot_be_attacked_is_told(tiny_data, tmp_path, capsys):
    run, _ = train_tiny("imdb_bilstm", tiny_data["text"], tmp_path / "run", epochs=1)
    assert main(["attack", str(run.directory)]) == 1
    assert "does not classify images" in capsys.readouterr().err
    assert main(["attack", str(run.directory), "--norm", "l1"]) == 2
    assert "--norm is linf or l2; got 'l1'" in capsys.readouterr().err
    inputs = keras.Input(SHAPE)
    pooled = keras.Model(inputs, layers.GlobalMaxPooling2D()(inputs))
    with pytest.raises(RecipeError, match="explanations and attacks need a model that ends"):
        Target(pooled)


def test_the_robust_figure_stands_beside_the_clean_one(tiny_data, tmp_path):
    run, metrics = train_tiny("mnist_adversarial", tiny_data["image"], tmp_path / "run")
    assert metrics["headline"]["name"] == "accuracy"
    robust = metrics["robust"]
    assert robust["count"] == 37
    assert robust["accuracy"] <= metrics["headline"]["value"]
    task = registry.load("mnist_adversarial").TASK
    assert "Under PGD-20 at epsilon 0.15" in task.remarks(metrics)[0]
    assert task.tiles(metrics)[0][0] == "under PGD-20"
    assert "val_robust_accuracy" in run.path("history.csv").read_text().splitlines()[0]
    assert "robust_accuracy" in metrics["validation"]


def test_a_stopped_training_by_trades_ends_at_the_same_weights(tiny_data, tmp_path, monkeypatch):
    """The contract stops one by plain PGD; here epsilon and the number of steps change as well."""
    changes = {"trades": 1.0, "fgsm_share": 0.5, "ramp_share": 0.75}
    name, data = "mnist_adversarial", tiny_data["image"]
    whole, metrics = train_tiny(name, data, tmp_path / "whole", **changes)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("common.training.progress.Progress.on_epoch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            train_tiny(name, data, tmp_path / "stopped", **changes)
    resumed, again = train_tiny(name, data, tmp_path / "stopped", **changes)
    assert again == metrics
    assert_equal_weights(whole.path("final.keras"), resumed.path("final.keras"))
