"""Which real data set a recipe is about: what it declares beside `load_data` in its train.py.

    DATA = ImageSet("mnist", "MNIST", image_size=(28, 28), channels=1, sample="digits")

A declaration is light: it imports no NumPy and looks for no file.
"""

import dataclasses
import typing

from common.basics.errors import UsageError, near_match

SAMPLES = {"image": ("digits", "digits 0 to 4", "digits 5 to 9", "shapes"), "text": ("reviews",)}
"""The built-in samples of each kind, by the names that a declaration gives them."""


@dataclasses.dataclass(frozen=True)
class RealSet:
    """A data set of TensorFlow Datasets (TFDS) with splits train and test and a feature `label`.

    Raises:
        UsageError: No built-in sample of this kind has that name.
    """

    kind: typing.ClassVar[str]

    name: str
    """Its name in TFDS, e.g. 'cifar10'."""
    label: str
    """Its name in tables and titles, e.g. 'CIFAR-10'."""
    _: dataclasses.KW_ONLY
    sample: str
    """The built-in sample that stands in for it with `--data sample`, one of SAMPLES."""
    config: str = ""
    """Its configuration in TFDS, where it has several."""
    host: str = "storage.googleapis.com"
    """The server its first download comes from, asked briefly before TFDS asks for minutes."""

    def __post_init__(self):
        known = SAMPLES[self.kind]
        if self.sample not in known:
            raise UsageError(
                f"{self.name}: unknown {self.kind} sample '{self.sample}'"
                f"{near_match(self.sample, known)} (known: {', '.join(known)})"
            )


@dataclasses.dataclass(frozen=True)
class ImageSet(RealSet):
    """A real data set of images (TFDS feature `image`), and the form a recipe wants them in.

    Raises:
        UsageError: Channels or sizes are not what `load_images` can make, the sample is unknown, or the
            share to test on is none.
    """

    kind = "image"

    _: dataclasses.KW_ONLY
    image_size: tuple[int, int]
    """Height and width in pixels. Other sizes are resized (bilinear, with antialiasing; the aspect
    ratio is not kept)."""
    channels: int
    """1 (grey) or 3 (RGB). Other images are converted."""
    test_fraction: float = 0.0
    """Of a set published without a test split: the share of its images to test on, in (0, 1). They are
    stratified and always the same ones. 0: it has a test split."""
    published_as: str = "png"
    """How the published files are encoded, 'png' or 'jpeg': copies in another encoding are told apart."""
    published_count: int = 0
    """Images that are published, to tell of a part; 0: not asked."""

    def __post_init__(self):
        super().__post_init__()
        if self.channels not in (1, 3):
            raise UsageError(f"{self.name}: channels must be 1 or 3, got {self.channels!r}")
        if len(self.image_size) != 2 or min(self.image_size) < 1:
            raise UsageError(
                f"{self.name}: image_size must be height and width in pixels, both at least 1, got "
                f"{self.image_size!r}"
            )
        if not 0 <= self.test_fraction < 1:
            raise UsageError(
                f"{self.name}: test_fraction must be 0 (it has a test split) or a share below 1, got "
                f"{self.test_fraction!r}"
            )


@dataclasses.dataclass(frozen=True)
class TextSet(RealSet):
    """A real data set of texts (TFDS feature `text`).

    Raises:
        UsageError: The sample is unknown.
    """

    kind = "text"
