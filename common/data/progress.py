"""Shows how far a long reading has come: as a bar on a terminal, elsewhere as a line now and then."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from common.basics.wording import duration

Item = TypeVar("Item")
EVERY_SECONDS = 10


def progress(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Yields the items, and reports on stderr how many have been yielded.

    Args:
        items: Any items.
        total: Their number.
        what: What is done with them, e.g. "reading images".
    """
    if sys.stderr is not None and sys.stderr.isatty():
        from tqdm import tqdm

        # A reading of less than a second needs no bar.
        yield from tqdm(items, desc=what, total=total, delay=1, leave=False, file=sys.stderr)
        return
    started = said = time.monotonic()
    for count, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - said > EVERY_SECONDS and count < total:
            said = now
            left = duration((now - started) * (total - count) / count)
            print(f"{what}: {count:,} of {total:,}, {left} left", file=sys.stderr, flush=True)
