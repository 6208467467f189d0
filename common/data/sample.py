"""Built-in samples, for a first run without a network: small, real where possible, not trivial.

They have the form of the data set that they stand in for (size, channels, texts) but never its name:
results on them are labelled SAMPLE DATA everywhere. All random numbers come from RandomState, whose
stream NumPy keeps fixed for ever.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from common.data.images import convert
from common.data.split import stratified_cut
from common.data.types import Dataset, Split

VERSION = "1"
"""Increased when a generator changes, so that results of two versions can be told apart."""

NOTE = "Built-in sample data: scores say that the program works, not how good the recipe is."

HALVES = {"digits 0 to 4": 0, "digits 5 to 9": 5}
"""Samples that are half of the digits -> the first digit: to learn from one and use it on the other."""

SHAPES = (
    "circle",
    "square",
    "triangle",
    "ring",
    "cross",
    "horizontal stripes",
    "vertical stripes",
    "diagonal stripes",
    "checkerboard",
    "dots",
)


def load_images(name: str, image_size: Sequence[int], channels: int) -> Dataset:
    """Returns a built-in data set of images.

    Args:
        name: `"digits"`, `"shapes"`, or a half of the digits: `"digits 0 to 4"`, `"digits 5 to 9"`.
        image_size: `(height, width)` in pixels.
        channels: 1 or 3.
    """
    if name == "digits":
        images, labels = _digits()
        rows, test_rows = stratified_cut(labels, 360 / len(labels), seed=0)
        splits = [(images[chosen], labels[chosen]) for chosen in (rows, test_rows)]
        short, label = "sample-digits", "SAMPLE DATA: scikit-learn digits"
        class_names = [str(digit) for digit in range(10)]
        image_arrays = [(_frame(x, image_size), y) for x, y in splits]
    elif name in HALVES:
        first = HALVES[name]
        whole = load_images("digits", image_size, channels)
        image_arrays = [_only(split, first) for split in (whole.train, whole.load_test())]
        short = f"sample-{name.replace(' ', '-')}"
        label = f"SAMPLE DATA: scikit-learn {name}"
        class_names = [str(digit) for digit in range(first, first + 5)]
    elif name == "shapes":
        image_arrays = [_shapes(2000, seed=1), _shapes(500, seed=2)]
        short, label = "sample-shapes", "SAMPLE DATA: generated shapes"
        class_names = list(SHAPES)
    else:
        raise ValueError(f"no sample of images is called {name!r}")
    train, test = (Split(convert(x, image_size, channels), y) for x, y in image_arrays)
    return _dataset(short, label, "image", class_names, train, test)


def load_texts(name: str) -> Dataset:
    """Returns a built-in data set of texts.

    Args:
        name: `"reviews"`.
    """
    from common.data.sample_reviews import generate

    if name != "reviews":
        raise ValueError(f"no sample of texts is called {name!r}")
    train, test = (Split(*generate(count, seed)) for count, seed in ((2000, 1), (500, 2)))
    label = "SAMPLE DATA: generated reviews"
    return _dataset("sample-reviews", label, "text", ["neg", "pos"], train, test)


def load_audio(name: str) -> Dataset:
    """Returns a built-in data set of clips, int16 at 8,000 samples a second. Its test split is empty.

    Args:
        name: `"syllables"`.
    """
    from common.data import sample_syllables

    if name != "syllables":
        raise ValueError(f"no sample of sound is called {name!r}")
    clips, labels, names = sample_syllables.generate(seed=1)
    label = "SAMPLE DATA: generated syllables"
    words = [str(digit) for digit in range(10)]
    train, test = Split(clips, labels), Split(clips[:0], labels[:0])
    dataset = _dataset("sample-syllables", label, "audio", words, train, test)
    return dataclasses.replace(dataset, names=names)


def load_table(name: str) -> Dataset:
    """Returns a built-in table.

    Args:
        name: `"customers"`, or `"houses"`, whose prices are numbers to predict.
    """
    from common.data import sample_houses, sample_table
    from common.data.columns import infer

    reading: dict[str, Any] = {}
    generator: Any
    if name == "customers":
        generator, classes = sample_table, list(sample_table.CLASSES)
    elif name == "houses":
        generator, classes = sample_houses, []
        reading["label_column"] = sample_houses.TARGET
    else:
        raise ValueError(f"no sample of a table is called {name!r}")
    train, test = (Split(*generator.generate(count, seed)) for count, seed in ((2000, 1), (500, 2)))
    columns = [infer(each, train.x[:, at]) for at, each in enumerate(generator.COLUMNS)]
    reading["columns"] = [column.to_dict() for column in columns]
    label = f"SAMPLE DATA: generated {name}"
    dataset = _dataset(f"sample-{name}", label, "table", classes, train, test)
    return dataclasses.replace(dataset, reading=reading)


def _dataset(name, label, kind, class_names, train, test):
    digest = hashlib.sha256()
    for split in (train, test):
        words = kind in ("text", "table")
        x = np.array("\0".join(split.x.ravel()).encode()) if words else split.x
        digest.update(np.ascontiguousarray(x).tobytes() + split.y.tobytes())
    return Dataset(
        name=name,
        version=VERSION,
        source="sample",
        fingerprint=digest.hexdigest(),
        kind=kind,
        class_names=class_names,
        label=label,
        note=NOTE,
        train=train,
        load_test=lambda: test,
        test_count=len(test),
    )


def _digits():
    """Returns scikit-learn's 1,797 digits (UCI): uint8 `(n, 8, 8, 1)` and int32 labels."""
    import importlib.util
    from pathlib import Path

    # The file is read directly if it is found: importing scikit-learn takes longer than all the rest.
    package = importlib.util.find_spec("sklearn")
    path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz" if package else None
    if path is not None and path.exists():
        table = np.loadtxt(path, delimiter=",")
        pixels, labels = table[:, :-1], table[:, -1]
    else:
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
    # Intensities are 0 to 16.
    images = np.round(pixels.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    return images, labels.astype(np.int32)


def _only(split, first):
    """Returns the images and labels of five classes, `first` being class 0 of them."""
    rows = np.flatnonzero((split.y >= first) & (split.y < first + 5))
    part = split.take(rows)
    return part.x, part.y - np.int32(first)


def _frame(images, image_size):
    """Enlarges digits to 20/28 of the size and centres them on black, as MNIST does."""
    height, width = image_size
    inner = (max(1, round(height * 20 / 28)), max(1, round(width * 20 / 28)))
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    framed = np.zeros((len(images), height, width, 1), np.uint8)
    framed[:, top : top + inner[0], left : left + inner[1]] = convert(images, inner, 1)
    return framed


def _shapes(count, seed):
    """Draws `count` 32x32 RGB images of the classes in SHAPES, equally many of each.

    Colours, position, scale, angle, phase, noise, shading and a covering patch are random and have the
    same distribution for all classes. So only the form tells the class, not a colour or a pixel.
    """
    random = np.random.RandomState(seed)
    labels = random.permutation(np.arange(count) % len(SHAPES)).astype(np.int32)

    def draw(low, high):
        return random.uniform(low, high, (count, 1, 1))

    rows, columns = np.mgrid[0:32, 0:32]
    y, x = rows - draw(11, 20), columns - draw(11, 20)
    angle, radius = draw(-0.2, 0.2), draw(7, 12)
    line, half, slant = draw(0.25, 0.4), draw(2.5, 4.5), np.where(draw(0, 1) < 0.5, 1, -1)
    u, v = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    mask = np.empty((count, 32, 32, 1), bool)
    for label, shape in enumerate(SHAPES):
        chosen = labels == label
        parameters = (values[chosen] for values in (u, v, radius, line, half, slant))
        mask[chosen, ..., 0] = _form(shape, *parameters)

    background = random.randint(0, 256, (count, 1, 1, 3))
    # The other colour differs by 80 to 176 levels in every channel, up or down.
    step = random.randint(80, 177, (count, 1, 1, 3))
    foreground = (background + step * random.choice([-1, 1], (count, 1, 1, 3))) % 256
    images = np.where(mask, foreground, background).astype(np.float32)
    images += (draw(-2, 2) * (rows - 16) + draw(-2, 2) * (columns - 16))[..., None]
    images += random.randint(-30, 31, images.shape)
    # Half of the images are partly covered by a rectangle of one colour.
    top, left, height, breadth = (
        draw(0, 26),
        draw(0, 26),
        draw(5, 12),
        draw(5, 12) * (draw(0, 1) < 0.5),
    )
    covered = (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + breadth)
    images = np.where(covered[..., None], random.randint(0, 256, (count, 1, 1, 3)), images)
    return np.clip(np.round(images), 0, 255).astype(np.uint8), labels


def _form(shape, u, v, radius, line, half, slant):
    """Returns which pixels a shape covers, bool `(n, 32, 32)`.

    Args:
        shape: One of SHAPES.
        u: Column relative to the centre, in pixels, turned by the image's angle; `(n, 32, 32)`.
        v: Row likewise.
        radius: Half the size of a shape, in pixels; this and the rest `(n, 1, 1)`.
        line: Thickness of lines as a share of the radius.
        half: Half a period of stripes and dots, in pixels.
        slant: 1 or -1, the direction of diagonals.
    """
    distance = np.hypot(u, v)
    nearer, farther = np.minimum(abs(u), abs(v)), np.maximum(abs(u), abs(v))

    def stripes(position):
        return np.floor(position / half) % 2 == 0

    match shape:
        case "circle":
            return distance < radius
        case "square":
            return farther < 0.85 * radius
        case "triangle":
            return (v < 0.7 * radius) & (v > 1.8 * abs(u) - radius)
        case "ring":
            return (distance < radius) & (distance > radius * (1 - line))
        case "cross":
            return (nearer < 0.6 * line * radius) & (farther < radius)
        case "horizontal stripes":
            return stripes(v)
        case "vertical stripes":
            return stripes(u)
        case "diagonal stripes":
            return stripes((u + slant * v) / np.sqrt(2))
        case "checkerboard":
            return stripes(u) ^ stripes(v)
    # Dots on a square grid.
    return np.hypot(u % (2 * half) - half, v % (2 * half) - half) < 0.7 * half
