"""A classifier: an answer is one of several classes."""

import dataclasses
from typing import ClassVar

from common.runs.headline import Headline


@dataclasses.dataclass(frozen=True)
class Classification:
    """The task of a recipe whose answers are classes."""

    kind: str
    """What is classified: "image" or "text"."""
    headline: ClassVar[Headline] = Headline("accuracy", "%")
    objective: ClassVar[str] = "val_accuracy"
    """The column of the history that a search goes by."""
