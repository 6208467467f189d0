"""Weights for the backbone: from Keras' cache, from a file, or trained on the spot."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from common.basics.errors import RecipeError, UsageError
from common.data import full

from .model import backbone_of, build_model, call

if TYPE_CHECKING:
    import keras

    from .train import Config

SIDE = 224
"""Weights are published for several image sizes; those for this one serve all sizes."""


def load(config: Config) -> keras.Model:
    """Returns the backbone with the weights that `config.weights` names.

    Returns:
        Model from uint8 images `(n, image_size, image_size, 3)` to features `(n, units)`.

    Raises:
        RecipeError: The weights are not here and cannot be fetched, or belong to another network.
        UsageError: There is no such file.
    """
    backbone = backbone_of(build_model(dataclasses.replace(config, transfer="features")))
    if config.weights == "digits":
        from .digits import train_backbone

        backbone.set_weights(train_backbone(config))
    else:
        backbone.set_weights(_published(config).get_weights())
    return backbone


def check(config: Config) -> None:
    """Checks that the weights of a training are here, or that they can be fetched.

    Raises:
        RecipeError, UsageError: As of `load`.
    """
    if config.transfer != "scratch" and config.weights != "digits":
        _published(config)


def fingerprint(model: keras.Model) -> str:
    """Returns the SHA-256, hexadecimal, of all weights of a network."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(weight.tobytes())
    return digest.hexdigest()


def _published(config):
    if config.backbone == "small":
        raise UsageError(
            "nobody publishes weights of the backbone 'small': use --weights digits, "
            "--transfer scratch, or another --backbone"
        )
    weights, shape = config.weights, (SIDE, SIDE, 3)
    if weights == "imagenet":
        with _asked_first(config):
            return call(config, weights="imagenet", input_shape=shape)
    if not Path(weights).expanduser().is_file():
        raise UsageError(
            f"no weights at '{weights}'; --weights takes 'imagenet' (published ones), 'digits' "
            "(trained on the spot) or a file of weights as keras.applications publishes them"
        )
    model = call(config, weights=None, input_shape=shape)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # What does not fit is an error in the end.
            model.load_weights(Path(weights).expanduser())
    except Exception as error:  # Keras and HDF5 raise many kinds for a file of another network.
        reason = " ".join(str(error).split())[:200]
        raise RecipeError(
            f"{weights} holds no weights of {config.backbone} of width {config.width:g} without its "
            f"top layer (Keras says: {reason})"
        ) from error
    return model


@contextlib.contextmanager
def _asked_first(config):
    """Lets Keras fetch weights only if their server can be reached; otherwise it tries for minutes."""
    from keras.src.backend.config import keras_home
    from keras.src.utils import file_utils

    fetch = file_utils.get_file

    def get_file(fname, origin, cache_subdir="models", **options):
        folder = Path(keras_home()) / cache_subdir
        host = origin.split("/")[2]
        if not (folder / fname).is_file() and not full.online(host):
            raise RecipeError(_absent(config, fname, origin, folder))
        return fetch(fname, origin, cache_subdir=cache_subdir, **options)

    with mock.patch.object(file_utils, "get_file", get_file):
        yield


def _absent(config, name, origin, folder):
    renamed = "" if origin.endswith(f"/{name}") else f" as {name}"
    return (
        f"the weights of {config.backbone} are not here, and {origin.split('/')[2]} cannot be reached. "
        f"Where there is a network, fetch {origin}; put it into {folder}{renamed}, or name the file with "
        "--weights FILE. Without any weights: --preset scratch (your photos only), or "
        "--preset sample --data sample (a trial run)"
    )
