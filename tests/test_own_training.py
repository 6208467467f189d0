"""The first thing a user does after the benchmarks: `recipes train NAME --data my_data`, as it is.

Each recipe trains its default preset on 300 photographs, 860 texts, or 600 rows. It must be better than
the linear model that is printed beside it, or level with it.
"""

import pytest

from common.basics.errors import RecipeError
from common.basics.files import read_json
from common.cli import main
from common.runs import headline, registry
from tests import own_data
from tests.helpers import kind_of

# Minutes on two cores, most of them of the two networks for CIFAR-10.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    return {
        "image": own_data.photos(folder / "photos"),
        "text": own_data.tickets(folder / "tickets.csv"),
        "audio": own_data.calls(folder / "calls"),
        "table": own_data.customers(folder / "customers.csv"),
        "numbers": own_data.houses(folder / "houses.csv"),
    }


# Recipes whose question leaves no more of these photos than a linear model gets: stripes in three
# directions, with colours and phase by chance. They must be level with it, as their verdict says.
HARDER = {
    "mnist_adversarial": "trains against changes of 0.3, after which nothing is left of the stripes",
    "mnist_mlp": "dense layers do not find stripes of another phase, no more than a linear model does",
    "mnist_spatial_transformer": "rotates its images, and the kinds differ by direction",
}


# Recipes that promise something for which so few examples do not suffice.
PROMISES = {
    "mnist_private": "hides each of 240 photos behind noise, which hides what they share too"
}


@pytest.mark.parametrize("name", registry.names())
def test_the_default_preset_is_no_worse_than_a_linear_model(name, own, tmp_path, capsys):
    if kind_of(name) not in own:
        pytest.skip("reads no data of the user's")
    if name in PROMISES:
        pytest.skip(PROMISES[name])
    module = registry.load(name)
    if hasattr(module, "check"):
        try:
            module.check(module.PRESETS["best"])
        except RecipeError as error:
            pytest.skip(f"needs more than data: {error}")
    run = tmp_path / "run"
    words = ["train", name, "--data", str(own[kind_of(name)]), "--run-dir", str(run), "--no-report"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    metrics = read_json(run / "metrics.json")
    constant, linear = map(headline.baseline, metrics["baselines"][:2])
    assert constant.name.startswith("always answering")
    assert "regression" in linear.name
    found = headline.of(metrics)
    better = found.value > linear.value if found.higher else found.value < linear.value
    assert better or linear.p > 0.05
    if found.higher:
        assert name in HARDER or found.value > 0.85
    else:
        assert found.value < 0.4 * constant.value
    for said in ("fitted to your data", f"Beside it, {linear.name}", "Verdict: "):
        assert said in printed
    assert name in HARDER or "no better" not in printed
    # Level or better, never chance: 170 steps of texts and 720 of images are the least.
    # A preset that is made for few rows needs no more epochs.
    assert metrics["epochs"] > module.PRESETS["best"].epochs or kind_of(name) == "numbers"
