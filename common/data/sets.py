"""Declarations of the real data set of a recipe, which stand beside `load_data` in its train.py.

    DATA = ImageSet("mnist", "MNIST", image_size=(28, 28), channels=1, sample="digits")

A declaration imports no NumPy and reads no file.
"""

import dataclasses
import typing

from common.basics.errors import UsageError, near_match

SAMPLES = {
    "image": ("digits", "digits 0 to 4", "digits 5 to 9", "shapes"),
    "text": ("reviews",),
    "audio": ("syllables",),
    "table": ("customers",),
    "table with a number to predict": ("houses",),
}
"""The built-in samples of each kind, by the names that a declaration gives them."""


@dataclasses.dataclass(frozen=True)
class RealSet:
    """A data set of TensorFlow Datasets (TFDS) with a feature `label` and the splits `parts`.

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
    """The server of the first download. A short check finds out whether it can be reached, because TFDS
    would try for minutes."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The splits that are read."""
        return ("train", "test")

    def __post_init__(self) -> None:
        _check_sample(self, self.kind)


def _check_sample(declared, kind):
    known = SAMPLES[kind]
    if declared.sample not in known:
        raise UsageError(
            f"{declared.name}: unknown {kind} sample '{declared.sample}'"
            f"{near_match(declared.sample, known)} (known: {', '.join(known)})"
        )


@dataclasses.dataclass(frozen=True)
class ImageSet(RealSet):
    """A real data set of images (TFDS feature `image`), and the form that a recipe needs them in.

    Raises:
        UsageError: `load_images` cannot make such channels or sizes, the sample is unknown, or the
            share to test on is not in [0, 1).
    """

    kind = "image"

    _: dataclasses.KW_ONLY
    image_size: tuple[int, int]
    """Height and width in pixels. Other sizes are resized (bilinear, with antialiasing; the aspect
    ratio is not kept)."""
    channels: int
    """1 (grey) or 3 (RGB). Other images are converted."""
    test_fraction: float = 0.0
    """For a set published without a test split: the share of its images to test on, in (0, 1). They are
    stratified and always the same ones. 0: the set has a test split."""
    splits: tuple[str, str] = ("train", "test")
    """Names in TFDS of the splits that are read as train and test."""
    published_as: str = "png"
    """How the published files are encoded, 'png' or 'jpeg'; other copies are labelled so."""
    published_count: int = 0
    """Number of published images: files with fewer are labelled as a part; 0: not checked."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The splits that are read."""
        return ("train",) if self.test_fraction else self.splits

    def __post_init__(self) -> None:
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


@dataclasses.dataclass(frozen=True)
class AudioSet(RealSet):
    """A real data set of short clips (TFDS features `audio` and `audio/filename`) with one split, train.

    Its recipe chooses the test split by the names of the files: `load_audio(hold_out=...)`.

    Raises:
        UsageError: The rate or the length is not positive, or the sample is unknown.
    """

    kind = "audio"

    _: dataclasses.KW_ONLY
    rate: int
    """Samples per second of the set, and of what a recipe gets. The user's own files are resampled."""
    seconds: float
    """Length of every example. Shorter clips get silence on both sides; longer ones are cut to the
    stretch with the most energy."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The splits that are read."""
        return ("train",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate < 1 or self.samples < 1:
            raise UsageError(
                f"{self.name}: rate and seconds must make at least one sample, got {self.rate!r} and "
                f"{self.seconds!r}"
            )

    @property
    def samples(self) -> int:
        """Number of samples in an example."""
        return round(self.rate * self.seconds)


@dataclasses.dataclass(frozen=True)
class TableSet:
    """A real table that the user fetches: TensorFlow Datasets does not have it.

    Raises:
        UsageError: The sample is unknown.
    """

    kind = "table"

    name: str
    """Its short name, e.g. 'adult'."""
    label: str
    """Its name in tables and titles."""
    _: dataclasses.KW_ONLY
    sample: str
    """The built-in sample that stands in for it with `--data sample`, one of SAMPLES."""
    files: dict[str, tuple[str, ...]]
    """Names of the CSV file of "train" and of that of "test"; the first one that is there is read."""
    columns: tuple[str, ...]
    """Names of all columns, in the order of files that have no header."""
    label_column: str
    """Name of the column of classes, one of `columns`."""
    counts: tuple[int, int]
    """Rows of the two files; files with other counts are refused."""
    variable: str
    """Environment variable that names the folder."""
    where: str
    """Where to get the files, a clause for error messages."""

    def __post_init__(self) -> None:
        _check_sample(self, self.kind)


@dataclasses.dataclass(frozen=True)
class NumberTable:
    """A real table with a number to predict that comes with scikit-learn: it needs no download.

    Of the user's own tables, too, the column of labels is read as numbers.

    Raises:
        UsageError: The sample is unknown.
    """

    kind = "table"

    name: str
    """Its name in scikit-learn: `sklearn.datasets.load_<name>`."""
    label: str
    """Its name in tables and titles."""
    _: dataclasses.KW_ONLY
    target: str
    """What is to be predicted, in words."""
    sample: str
    """The built-in sample that stands in for it with `--data sample`, one of SAMPLES."""
    test_fraction: float
    """Share of the rows to test on, in (0, 1); always the same ones."""

    def __post_init__(self) -> None:
        _check_sample(self, "table with a number to predict")


@dataclasses.dataclass(frozen=True)
class PairSet:
    """A real set of pairs of texts that the user fetches: sources, and a target each."""

    name: str
    """Its short name, e.g. 'multi30k_en_de'."""
    label: str
    """Its name in tables and titles."""
    _: dataclasses.KW_ONLY
    counts: tuple[int, ...]
    """Pairs of its files: to train on, and, where it has such files, to validate on and to test on.
    Files with other counts are refused."""
    variable: str
    """Environment variable that names the folder."""
    where: str
    """Where to get the files and what to do with them, a clause for error messages."""
    test_fraction: float = 0.15
    """For a set without a file to test on: the share of its pairs to test on, in (0, 1)."""
