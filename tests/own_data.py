"""Small data sets as a user brings them, made from a seed: what a preset must cope with."""

import csv

import numpy as np

TOPICS = {
    "billing": "invoice charged refund payment card twice amount",
    "delivery": "parcel late tracking courier address lost shipped",
    "technical": "crash error freeze update screen login bug",
    "cancel": "subscription close stop renewal contract leave end",
}
FILLER = (
    "the a of to and in my it is on for with this that i was have please when after since today"
)


def photos(folder, count=300, seed=0):
    """Writes photographs of stripes in three directions, as class folders, and returns the folder.

    Colours, contrast, width and phase of the stripes are chance: no single pixel tells anything.
    """
    from PIL import Image

    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:48, :64]
    for index in range(count):
        label = index % 3
        angle = (0, np.pi / 2, np.pi / 4)[label] + random.normal(0, 0.12)
        width = random.uniform(0.35, 0.8)
        wave = np.sin(
            width * (columns * np.cos(angle) + rows * np.sin(angle)) + random.uniform(0, 7)
        )
        colour = random.integers(60, 200, 3)
        picture = (
            colour + random.uniform(20, 60) * wave[..., None] + random.normal(0, 25, (48, 64, 3))
        )
        place = folder / ("upright", "level", "slanting")[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(picture, 0, 255).astype("uint8")).save(place / f"{index}.png")
    return folder


def tickets(path, count=860, seed=0):
    """Writes support tickets of four topics as CSV, some with a word of another, and returns the path."""
    random = np.random.default_rng(seed)
    names, filler = list(TOPICS), FILLER.split()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for _ in range(count):
            label = int(random.integers(4))
            words = list(random.choice(filler, random.integers(8, 40)))
            topics = [label] * int(random.integers(1, 4))
            if random.random() < 0.35:
                topics.append(int(random.integers(4)))
            for topic in topics:
                word = str(random.choice(TOPICS[names[topic]].split()))
                words.insert(int(random.integers(len(words) + 1)), word)
            writer.writerow([" ".join(words), names[label]])
    return path


def customers(path, count=600, seed=0):
    """Writes customers of three sorts as CSV with semicolons and decimal commas, and returns the path.

    Columns of numbers and of words tell the sort, some values are missing, one column numbers the rows.
    """
    random = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["number", "paid", "visits", "plan", "shop", "label"])
        for index in range(count):
            label = int(random.integers(3))
            paid = f"{random.lognormal(1 + 1.2 * label, 0.5):.2f}".replace(".", ",")
            visits = "" if random.random() < 0.1 else int(random.poisson(2 + 5 * (label == 1)))
            plan = random.choice(["basic", "plus", "family"], p=np.roll([0.8, 0.1, 0.1], label))
            plan = "n/a" if random.random() < 0.1 else plan
            shop = random.choice(["north", "south"])
            writer.writerow([index, paid, visits, plan, shop, ["new", "loyal", "leaves"][label]])
    return path


def calls(folder, count=240, seed=0):
    """Writes calls of two tones, up, down or level, as class folders of WAV files; returns the folder.

    Pitch, tempo, loudness and noise are chance: only the order of the tones tells the class.
    """
    from scipy.io import wavfile

    random = np.random.default_rng(seed)
    for index in range(count):
        label = index % 3
        low, rate = random.uniform(300, 800), (8000, 16000)[index % 2]
        high = low * random.uniform(1.4, 1.8)
        first, second = ((low, high), (high, low), (low, low))[label]
        if label == 2 and random.random() < 0.5:
            first = second = high
        time = np.arange(int(random.uniform(0.1, 0.25) * rate)) / rate
        tones = [np.sin(2 * np.pi * hertz * time) for hertz in (first, second)]
        wave = random.uniform(0.1, 0.8) * np.concatenate(tones)
        wave += random.normal(0, 0.03 * wave.max(), len(wave))
        place = folder / ("up", "down", "level")[label]
        place.mkdir(parents=True, exist_ok=True)
        wavfile.write(place / f"{index}.wav", rate, (wave * 2**15).astype(np.int16))
    return folder


def houses(path, count=600, seed=0):
    """Writes houses with their prices as a CSV of a spreadsheet, and returns the path.

    Semicolons stand between the columns, and numbers have decimal commas.
    """
    random = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["area", "town", "year", "label"])
        for _ in range(count):
            area, year, town = (
                random.uniform(40, 200),
                int(random.integers(1900, 2025)),
                random.choice(4),
            )
            price = area * (2 + town) * (0.8 + ((year - 1960) / 120) ** 2) * random.normal(1, 0.08)
            cells = [f"{area:.1f}", "ABCD"[town], str(year), f"{price:.2f}"]
            writer.writerow([cell.replace(".", ",") for cell in cells])
    return path
