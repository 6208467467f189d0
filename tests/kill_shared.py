"""Workers on one database, killed at random, one joining late.

    python tests/kill_shared.py DIRECTORY KILLS [URL]

Prints a JSON line: kills, and (number, values, status, score) of the trials that came of it.
"""

import csv
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from common.tuning import shared_store
from tests import toy_sweep

shared_store.HEARTBEAT_SECONDS = 1
TRIALS = 24


def work(directory, name, url):
    """Runs trials that take a while, in a folder of its own as on another machine."""

    def train(config, run):
        time.sleep(0.15)
        toy_sweep.train(config, run)

    toy_sweep.make_tuner(
        "evolution",
        directory / name / "sweep",
        trials=TRIALS,
        worker=name,
        module={"train": train},
        storage=url,
    ).search()
    # A machine that leaves when all is done has all in its table, whoever did it.
    with (directory / name / "sweep" / "trials.csv").open() as file:
        numbers = [int(row["trial"]) for row in csv.DictReader(file)]
    assert numbers == list(range(TRIALS)), numbers


def start(directory, name, url):
    child = os.fork()
    if child == 0:
        try:
            work(directory, name, url)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return child


def main(directory, kills, url):
    directory.mkdir(parents=True, exist_ok=True)
    toy_sweep.make_tuner("evolution", directory / "import")  # imports everything
    # Both find no tables and create them.
    alive = {start(directory, f"machine-{index}", url): index for index in range(2)}
    chance, done, started = random.Random(0), 0, 2
    begun = time.time()
    while alive and time.time() - begun < 240:
        time.sleep(chance.uniform(0.2, 0.9))
        for child in list(alive):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                del alive[child]
                if os.WIFEXITED(status) and os.WEXITSTATUS(status):
                    raise SystemExit("a worker failed")
        if started == 2:
            alive[start(directory, "late", url)] = started
            started += 1
        elif done < kills and alive:
            victim = chance.choice(list(alive))
            os.kill(victim, signal.SIGKILL)
            os.waitpid(victim, 0)
            del alive[victim]
            done += 1
            alive[start(directory, f"machine-{started}", url)] = started
            started += 1
    store = shared_store.SharedStore(directory / "read", url, "sweep")
    rows = [(t.number, t.values, t.status, t.score, t.worker) for t in store.read()]
    print(json.dumps({"kills": done, "rows": rows, "alive": len(alive)}))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    database = sys.argv[3] if len(sys.argv) > 3 else f"sqlite:///{folder}/sweep.db"
    main(folder, int(sys.argv[2]), database)
