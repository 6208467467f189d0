"""A process that runs trials of a sweep until there are none left: python -m common.tuning.worker DIR.

Workers are equal. They share nothing but the sweep folder, may join and leave at any time, and take
over what a dead one left. One that was started with a pipe as standard input ends with the process
at its other end, so that a killed sweep leaves nothing running.
"""

import os
import sys
from pathlib import Path


def main(directory, name):
    """Runs trials; returns the exit code."""
    from common import streams
    from common.child import follow_parent
    from common.errors import RecipeError
    from common.tuning.definition import Definition, make_tuner
    from common.tuning.processes import REFUSED

    follow_parent()
    streams.prepare()
    try:
        make_tuner(Definition.read(directory), directory, worker=name).search()
    except RecipeError as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), sys.argv[2])
    sys.stdout.flush()
    sys.stderr.flush()
    # Frameworks may take seconds to tear down what the system frees at once.
    os._exit(code)
