"""Kills a sweep again and again: python tests/kill_sweep.py METHOD DIRECTORY KILLS.

Importing KerasTuner takes seconds, so it is imported once and each life of the sweep is a fork. Prints
a JSON line: kills, files that could not be read, and the table that the sweep came to.
"""

import gc
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from common.tuning import oracle
from tests import toy_sweep


def main(method, directory, kills):
    toy_sweep.make_tuner(method, directory)  # imports everything
    # A life is to spend its milliseconds on trials, not on looking through all of that for garbage.
    gc.freeze()
    # Many lives are shorter than an epoch. What gives up such a trial has a test of its own.
    oracle.MAX_STARTS = 100 * kills
    delays = random.Random(method)
    done, torn = 0, 0
    for life in range(100 * kills):
        child = os.fork()
        if child == 0:
            toy_sweep.make_tuner(method, directory, worker=f"life-{life}").search()
            os._exit(0)
        if done < kills:
            time.sleep(delays.expovariate(1 / 0.012))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        torn += unreadable(directory)
        if os.WIFEXITED(status):
            if done < kills:
                # It got to its end before it could be killed: begin another one after it.
                raise SystemExit(f"only {done} kills before the end; make the sweep longer")
            break
        done += 1
    toy_sweep.check_csv(directory)
    print(json.dumps({"kills": done, "torn": torn, "table": toy_sweep.table(directory)}))


def unreadable(directory):
    """Returns how many files a reader would trip over.

    What a killed write leaves under its temporary, hidden name is no file to any reader.
    """
    count = 0
    for path in Path(directory).rglob("[!.]*.json"):
        try:
            json.loads(path.read_text())
        except ValueError:
            count += 1
    return count


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
