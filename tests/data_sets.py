"""Three declarations, and what loads and makes data for tests of loading."""

import dataclasses

import numpy as np

from common.data import (
    ImageSet,
    Source,
    TextSet,
    load_images,
    load_texts,
)

MNIST = ImageSet("mnist", "MNIST", image_size=(28, 28), channels=1, sample="digits")
SHAPES = ImageSet("cifar10", "CIFAR-10", image_size=(32, 32), channels=3, sample="shapes")
REVIEWS = TextSet("imdb_reviews", "IMDB reviews", config="plain_text", sample="reviews")


def load_mnist(data, image_size=(28, 28), channels=1, fraction=0.2, **kwargs):
    """Loads images in the form that MNIST recipes ask for."""
    return load_images(
        dataclasses.replace(MNIST, image_size=image_size, channels=channels),
        data if isinstance(data, Source) else Source(str(data)),
        validation_fraction=fraction,
        **kwargs,
    )


def load_reviews(data, fraction=0.2):
    """Loads texts in the form that the IMDB recipe asks for."""
    source = data if isinstance(data, Source) else Source(str(data))
    return load_texts(REVIEWS, source, validation_fraction=fraction)


def random_images(*shape, seed=0):
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def save_image(path, array, **kwargs):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **kwargs)
