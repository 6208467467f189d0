"""A generated table: houses and their prices. Numbers, categories, missing values, a curve and a product.

The price of a square metre depends on the town; age lowers a price until a house is old enough to be
loved for it; a garden is worth more in a dear town. Some cells are missing, and noise of a tenth of the
price stays.
"""

from typing import Any

import numpy as np

COLUMNS = ("house_id", "area", "rooms", "year", "town", "garden", "energy")
TOWNS = {"Ostheim": 2100, "Nordach": 2600, "Weststadt": 3400, "Seeburg": 4800}
"""Price of a square metre."""
ENERGY = ("A", "B", "C", "D")
TARGET = "price"


def generate(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows and prices.

    Args:
        count: Number of rows.
        seed: Seed of the rows, 0 to 2**32 - 1.

    Returns:
        Cells, an object array of str `(n, 7)`, '' for a missing value; and prices, float64 `(n,)`.
    """
    random = np.random.RandomState(seed)
    area = np.exp(random.normal(4.6, 0.35, count)).clip(30, 400).round()
    rooms = np.maximum(1, (area / 28 + random.normal(0, 0.8, count)).round()).astype(int)
    year = random.randint(1890, 2025, count)
    town = random.choice(len(TOWNS), count, p=(0.35, 0.3, 0.2, 0.15))
    garden = np.where(random.uniform(size=count) < 0.55, 0, random.gamma(2, 150, count).round())
    energy = random.choice(len(ENERGY), count, p=(0.15, 0.35, 0.3, 0.2))
    metre = np.array([*TOWNS.values()])[town].astype(float)
    # Cheapest are houses of about 1960.
    value = metre * area * (0.75 + ((year - 1960) / 130) ** 2)
    value *= 1 - 0.06 * energy
    value += 0.05 * metre * garden
    prices = (value * np.exp(random.normal(0, 0.1, count))).round(-2)
    table: dict[str, Any] = {
        "house_id": [f"h{number}" for number in random.permutation(count)],
        "area": area.astype(int),
        "rooms": rooms,
        "year": year,
        "town": np.array([*TOWNS])[town],
        "garden": garden.astype(int),
        "energy": np.array(ENERGY)[energy],
    }
    x = np.empty((count, len(COLUMNS)), object)
    for place, name in enumerate(COLUMNS):
        x[:, place] = [str(cell) for cell in table[name]]
    for name in ("rooms", "year", "energy"):
        x[random.uniform(size=count) < 0.03, COLUMNS.index(name)] = ""
    return x, prices
