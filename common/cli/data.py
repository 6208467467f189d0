"""`make data`, `python -m common.cli.data`: downloads missing data sets of recipes and caches them."""

import argparse
import sys
import time
from collections.abc import Sequence

from common.basics import streams
from common.basics.errors import RecipeError
from common.data import full
from common.data.sets import RealSet
from common.runs import registry


def declared() -> dict[str, RealSet]:
    """Returns the data sets that recipes declare as `DATA`, by name.

    Several recipes may declare the same one. A recipe with another way to read its data declares none.
    """
    found: dict[str, RealSet] = {}
    for name in registry.names():
        data_set = getattr(registry.load(name), "DATA", None)
        if isinstance(data_set, RealSet):
            found.setdefault(data_set.name, data_set)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepares the data sets named on the command line; returns the exit code.

    Args:
        arguments: Words of the command line; None: those of the process.
    """
    streams.prepare()
    known = declared()
    parser = argparse.ArgumentParser(prog="python -m common.cli.data", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(known)} (default: all)"
    )
    parser.add_argument(
        "--data-dir", help="TFDS folder (default: TFDS_DATA_DIR, else ~/tensorflow_datasets)"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"unknown data set '{unknown[0]}' (recipes declare: {', '.join(known)})")
    code = 0
    for name in options.names or known:
        started = time.perf_counter()
        try:
            entry = full.prepare(known[name], options.data_dir)
        except RecipeError as error:
            print(f"{name}: {error}", file=sys.stderr)
            code = error.exit_code
            continue
        print(
            f"{name} {entry.meta['version']}: {entry.count('train'):,} train, "
            f"{entry.count('test'):,} test, {len(entry.meta['class_names'])} classes, "
            f"in {entry.folder}, fingerprint {entry.meta['fingerprint'][:16]}, "
            f"{time.perf_counter() - started:.1f} s",
            flush=True,
        )
    return streams.finish(code)


if __name__ == "__main__":
    sys.exit(main())
