"""A generated table: customers of a shop, and who comes back. Numbers, categories and missing values.

Whether a customer comes back depends on a few columns and on how two of them go together. One region is
smaller than the others, and its customers follow the rule less: a model that is good on average serves
them worse, which slices show.
"""

from typing import Any

import numpy as np

COLUMNS = ("customer_id", "age", "spent", "visits", "channel", "plan", "region", "country")
CHANNELS = ("shop", "web", "phone", "app")
PLANS = ("basic", "plus", "family")
REGIONS = ("north", "south", "west", "islands")
CLASSES = ("leaves", "returns")


def generate(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows and their labels.

    Args:
        count: Number of rows.
        seed: Seed of the rows, 0 to 2**32 - 1.

    Returns:
        Cells, an object array of str `(n, 8)`, '' for a missing value; and labels, int32 `(n,)`, indices
        into CLASSES.
    """
    random = np.random.RandomState(seed)
    age = random.randint(18, 80, count)
    spent = np.exp(random.normal(4, 1, count)).round(2)
    visits = random.poisson(3, count)
    channel = random.choice(4, count, p=(0.4, 0.35, 0.05, 0.2))
    plan = random.choice(3, count, p=(0.6, 0.3, 0.1))
    region = random.choice(4, count, p=(0.4, 0.3, 0.2, 0.1))
    score = 0.9 * (np.log(spent) - 4) + 0.5 * (visits - 3) + np.array([-0.8, 0.6, 1.2])[plan]
    # Young people return by app, old ones by shop.
    score += np.where(np.isin(channel, (1, 3)), -1, 1) * (age - 49) / 15
    score = np.where(region == 3, 0.4 * score - 0.5, score)
    labels = (random.uniform(size=count) < 1 / (1 + np.exp(-1.6 * score))).astype(np.int32)
    table: dict[str, Any] = {
        "customer_id": [f"c{number}" for number in random.permutation(count)],
        "age": age.astype(str),
        "spent": [f"{value:.2f}" for value in spent],
        "visits": visits.astype(str),
        "channel": np.array(CHANNELS)[channel],
        "plan": np.array(PLANS)[plan],
        "region": np.array(REGIONS)[region],
        "country": ["here"] * count,
    }
    x = np.empty((count, len(COLUMNS)), object)
    for place, name in enumerate(COLUMNS):
        x[:, place] = [str(cell) for cell in table[name]]
    for name, share in (("age", 0.1), ("plan", 0.08)):
        x[random.uniform(size=count) < share, COLUMNS.index(name)] = ""
    return x, labels
