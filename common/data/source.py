"""Where the data comes from, and how the user's own data is read.

The command line is built from these classes, so this file imports no NumPy.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Reading:
    """How the user's own data is read; it has no effect on the real and the built-in data."""

    value_range: tuple[float, float] | None = None
    """Of images deeper than 8 bits: the values that become black and white (default: 0 and the most that
    8, 10, 12, 14 or 16 bits hold, as the training images need; 0 1 of floating-point ones)."""
    text_column: str | None = None
    """Column of a CSV that holds the texts (default: text)."""
    path_column: str | None = None
    """Column of a CSV that names files of images or sound, as paths from its folder (default: path)."""
    label_column: str | None = None
    """Column of a CSV that holds the classes (default: label)."""
    group_column: str | None = None
    """Column of a CSV whose equal values belong together (a customer, a thread): no split parts them."""
    time_column: str | None = None
    """Column of a CSV with dates, or numbers that grow with time: the latest examples are validated and
    tested on, not random ones, as in use they will be later still."""
    test_fraction: float | None = None
    """Share of the examples that becomes the test split, where none is given, between 0 and 1
    (default: 0.15)."""
    group_folders: bool = False
    """Files in subfolders of equal name belong together (cat/site1, dog/site1): no split parts them."""

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields that are set, as values that JSON can hold; `from_dict` reads them."""
        values = dataclasses.asdict(self)
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value not in (None, False)
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Reading":
        """Returns the Reading of which `to_dict` returned these values."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**fields)


AS_IT_COMES = Reading()


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the data comes from; the command line builds it from `--data` and `--data-dir`."""

    data: str = "full"
    """'full' (the real data set), 'sample' (built in, no network), or a path to the user's own."""
    data_dir: Path | None = None
    """Folder of TensorFlow Datasets or of a table; None: TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    reading: Reading = AS_IT_COMES
    """How the user's own data is read."""

    @property
    def built_in(self) -> bool:
        """Whether a recipe's presets are made for this data: it is not the user's own."""
        return self.data in ("full", "sample")
