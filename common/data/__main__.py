"""`python -m common.data`: downloads (where absent) and caches the real data sets; `make data`."""

import argparse
import sys
import time

from common.basics import streams
from common.basics.errors import RecipeError
from common.data import full


def main(arguments=None):
    """Prepares the data sets named on the command line; returns the exit code.

    Args:
        arguments: List of str; None: those of the process.
    """
    streams.prepare()
    parser = argparse.ArgumentParser(prog="python -m common.data", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(full.DATA_SETS)} (default: all)"
    )
    parser.add_argument(
        "--data-dir", help="TFDS folder (default: TFDS_DATA_DIR, else ~/tensorflow_datasets)"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in full.DATA_SETS]
    if unknown:
        parser.error(f"unknown data set '{unknown[0]}' (known: {', '.join(full.DATA_SETS)})")
    code = 0
    for name in options.names or full.DATA_SETS:
        started = time.perf_counter()
        try:
            entry = full.prepare(name, options.data_dir)
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
