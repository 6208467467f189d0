"""A trial that kills its process at every start: python tests/kill_trial.py DIRECTORY.

Each life of the sweep is a fork. Prints a JSON line: how many lives were killed, the starts that trial 0
had after each, and the statuses and messages that came of it.
"""

import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from common.tuning.store import Store
from tests import toy_sweep


def train(config, run):
    """Trains like the toy, but in the first trial."""
    if run.directory.parent.name == "0000":
        os.kill(os.getpid(), signal.SIGKILL)
    toy_sweep.train(config, run)


def main(directory):
    toy_sweep.make_tuner("random", directory)  # imports everything
    starts = []
    for life in range(50):
        child = os.fork()
        if child == 0:
            options = {"trials": 3, "worker": f"life-{life}", "module": {"train": train}}
            toy_sweep.make_tuner("random", directory, **options).search()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            break
        starts.append(Store(directory).read()[0].starts)
    toy_sweep.check_csv(directory)
    trials = Store(directory).read()
    print(json.dumps({"starts": starts, "ends": [(t.status, t.message) for t in trials]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
