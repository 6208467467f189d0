"""Says how far a long reading has come: a bar on a terminal, a line now and then elsewhere."""

import sys
import time

from common.basics.wording import duration

EVERY_SECONDS = 10


def progress(items, total, what):
    """Yields the items, and says on stderr how many there have been.

    Args:
        items: Iterable.
        total: How many it yields.
        what: What they are, e.g. "reading images".
    """
    if sys.stderr is not None and sys.stderr.isatty():
        from tqdm import tqdm

        # What is done within a second needs no bar.
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
