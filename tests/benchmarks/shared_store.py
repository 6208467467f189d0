"""Searches that share a database: what a claim costs, and how many a second many workers make.

    python tests/benchmarks/shared_store.py [--workers 2 16 64] [--trials 100] [--output FOLDER]

The trials train nothing. PostgreSQL is started here, in a folder of its own. Some workers are killed on
the way (kill -9) and replaced; afterwards a query counts the trials that were lost or ended twice.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests import postgres

SIZES = (100, 500, 2000)
REPEATS = 11
EPOCHS = 15
HEARTBEAT_SECONDS = 2
LIMIT_SECONDS = 240
# More than a PostgreSQL allows unless it is told otherwise.
CONNECTIONS = 300
ENDS = """
select count(distinct n), count(*) from (
  select (a.value_json::json->>0)::int as n from trials t
  join studies s on s.study_id = t.study_id and s.study_name = :name
  join trial_user_attributes a on a.trial_id = t.trial_id and a.key = 'attempt'
  join trial_user_attributes r on r.trial_id = t.trial_id and r.key = 'record'
  where r.value_json::json->>'status' = 'completed'
) as ends
"""
ATTEMPTS = """
select count(*) from trials t join studies s on s.study_id = t.study_id and s.study_name = :name
"""
COUNT = "select count(*) from pg_stat_activity where backend_type = 'client backend'"


def make_oracle(folder, url, name, trials=None):
    """Returns a random search of two numbers, with its trials in a database."""
    import keras_tuner

    from common.tuning.choice import make_oracle

    space = keras_tuner.HyperParameters()
    space.Float("rate", 1e-4, 1.0, sampling="log")
    space.Float("dropout", 0.0, 0.5)
    oracle = make_oracle(
        "random",
        objective=keras_tuner.Objective("val_accuracy", "max"),
        seed=0,
        max_trials=trials,
        hyperparameters=space,
        storage=url,
        study=name,
    )
    oracle.verbose = 0
    oracle._set_project_dir(str(folder), name)
    return oracle


def finished(number):
    """Returns a finished trial with a record as long as real ones."""
    from common.tuning.trial import COMPLETED, Trial

    chance = random.Random(number)
    names = ("loss", "accuracy", "val_loss", "val_accuracy", "seconds")
    curve = {name: [round(chance.random(), 6) for _ in range(EPOCHS)] for name in names}
    values = {"rate": 10 ** -chance.uniform(0, 4), "dropout": chance.uniform(0, 0.5)}
    score = max(curve["val_accuracy"])
    return Trial(
        number, values, COMPLETED, starts=1, score=score, best_epoch=1, epochs=EPOCHS,
        curves=[curve], parts=[[number, EPOCHS, score]], worker="somebody",
    )  # fmt: skip


def fill(store, begin, end):
    """Adds finished trials to a study, in one transaction each."""
    import optuna

    study = optuna.load_study(study_name=store.database.name, storage=store.database._storage)
    for number in range(begin, end):
        trial = finished(number)
        attributes = {"attempt": [number, 0], "claim": "", "record": dataclasses.asdict(trial)}
        shown = store.form.parameters(trial.values)
        study.add_trial(
            optuna.trial.create_trial(
                value=trial.score,
                user_attrs=attributes,
                params={name: value for name, (value, _) in shown.items()},
                distributions={name: kind for name, (_, kind) in shown.items()},
                intermediate_values=dict(enumerate(store.form.curve(trial.curves), 1)),
            )
        )


def clock(times, name, function, *arguments):
    """Calls a function, and notes the milliseconds and the CPU milliseconds that it took."""
    begun, cpu = time.perf_counter(), time.process_time()
    result = function(*arguments)
    took = time.perf_counter() - begun, time.process_time() - cpu
    times.setdefault(name, []).append([1000 * each for each in took])
    return result


def costs(url, folder):
    """Returns the median [ms, CPU ms] of each step of a trial, by the number of finished trials."""
    from common.tuning.trial import COMPLETED, RUNNING

    found, filled = {}, 0
    for size in SIZES:
        fill(make_oracle(folder, url, "costs").store, filled, size)
        times = {}
        oracle = make_oracle(folder, url, "costs")
        store = oracle.store
        clock(times, "first read", store.read)
        for number in range(size, size + REPEATS):
            clock(times, "read", store.read)
            trial = dataclasses.replace(finished(number), status=RUNNING, curves=[], parts=[])
            assert clock(times, "claim", store.claim, trial)
            clock(times, "write", store.write, trial)
            done = finished(number)
            trial.status, trial.curves, trial.score = COMPLETED, done.curves, done.score
            clock(times, "release", store.release, trial)
        # As a worker does it: reads, chooses, claims and writes.
        for _ in range(REPEATS):
            chosen = clock(times, "all of a start", oracle.create_trial, "bench")
            record = chosen.record
            record.status, record.score = COMPLETED, 0.5
            store.write(record)
            store.release(record)
        found[size] = {
            name: [round(statistics.median(each), 2) for each in zip(*pairs, strict=True)]
            for name, pairs in times.items()
        }
        filled = size + 2 * REPEATS
    return found


def work(folder, url, name, trials, worker):
    """Claims and ends trials until none is left; notes each start and end in a file."""
    from keras_tuner.engine.trial import TrialStatus

    oracle = make_oracle(folder / worker, url, name, trials)
    with (folder / f"{worker}.log").open("a") as log:
        while True:
            begun = time.time()
            trial = oracle.create_trial(worker)
            if trial.status == TrialStatus.STOPPED:
                return
            if trial.status == TrialStatus.IDLE:
                continue
            record = trial.record
            print("start", record.number, begun, time.time(), file=log, flush=True)
            score = 1 - abs(record.values["dropout"] - 0.2)
            record.curves, record.epochs = [{"val_accuracy": [score]}], 1
            oracle.update_trial(trial.trial_id, {"val_accuracy": score}, 1)
            trial.status = TrialStatus.COMPLETED
            oracle.end_trial(trial)
            print("end", record.number, begun, time.time(), file=log, flush=True)


def start(folder, url, name, trials, worker):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work(folder, url, name, trials, worker)
            code = 0
        except BaseException as error:
            print(f"{worker}: {error!r}", file=sys.stderr)
        os._exit(code)
    return child


def many(url, folder, workers, trials, kills):
    """Returns what came of a search by so many processes, of which some are killed."""
    from common.tuning import shared_store

    shared_store.HEARTBEAT_SECONDS = HEARTBEAT_SECONDS
    name, chance = f"workers-{workers}", random.Random(workers)
    folder.mkdir()
    alive = {start(folder, url, name, trials, f"w{index}"): index for index in range(workers)}
    begun, killed, failed, connections = time.time(), 0, 0, 0
    next_kill = next_count = begun
    while alive and time.time() - begun < LIMIT_SECONDS:
        time.sleep(0.2)
        for child in list(alive):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                del alive[child]
                failed += not (os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0)
        if time.time() > next_count:
            next_count = time.time() + 2
            connections = max(connections, query(url, COUNT)[0])
        started = sum(path.stat().st_size > 0 for path in folder.glob("*.log"))
        if killed < kills and started >= workers / 2 and alive and time.time() > next_kill:
            next_kill = time.time() + 0.5
            victim = chance.choice(list(alive))
            os.kill(victim, signal.SIGKILL)
            os.waitpid(victim, 0)
            del alive[victim]
            killed += 1
            worker = f"w{workers + killed}"
            alive[start(folder, url, name, trials, worker)] = workers + killed
    for child in alive:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    lines = [line.split() for path in folder.glob("*.log") for line in path.open()]
    starts = sorted(
        (float(line[3]), float(line[3]) - float(line[2])) for line in lines if line[0] == "start"
    )
    ends, rows = query(url, ENDS, name=name)
    # Without the first and the last tenth: the workers' start, and the wait for those that were killed.
    middle = starts[len(starts) // 10 : -len(starts) // 10]
    return {
        "workers": workers,
        "trials": trials,
        "killed": killed,
        "failed": failed + len(alive),
        "lost": trials - ends,
        "doubled": rows - ends,
        "claims_per_second": (len(middle) - 1) / (middle[-1][0] - middle[0][0]),
        "claim_seconds": statistics.median(wait for _, wait in middle),
        "attempts": query(url, ATTEMPTS, name=name)[0],
        "connections": connections,
    }


def query(url, text, **values):
    """Returns the first row of a query, on a connection of its own."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
    with engine.connect() as connection:
        return tuple(connection.execute(sqlalchemy.text(text), values).one())


def table(results):
    """Returns the tables in Markdown."""
    lines = []
    for name, title in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL")):
        for when in ("before", "now"):
            found = results.get("costs", {}).get(when, {}).get(name)
            for size, times in (found or {}).items():
                cells = " | ".join(
                    f"{times[key][0]:.0f} ({times[key][1]:.1f})"
                    for key in ("claim", "all of a start", "write", "release", "read", "first read")
                )
                lines.append(f"| {title}, {when} | {int(size):,} | {cells} |")
    head = [
        "| ms (CPU ms of the worker) | finished trials | claim | all of a start | write | release | "
        "read again | read first |",
        "|---|---|---|---|---|---|---|---|",
    ]
    parts = ["\n".join([*head, *lines])] if lines else []
    if results.get("many"):
        head = [
            "| workers | trials | killed | claims a second | a worker's claim | lost | doubled | "
            "attempts | connections |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        rows = [
            f"| {r['workers']} | {r['trials']:,} | {r['killed']} | {r['claims_per_second']:.1f} | "
            f"{1000 * r['claim_seconds']:,.0f} ms | {r['lost']} | {r['doubled']} | {r['attempts']:,} | "
            f"{r['connections']} |"
            for r in results["many"]
        ]
        parts.append("\n".join([*head, *rows]))
    parts.append(results["machine"] + ".")
    return "\n\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="*", default=[2, 16, 64])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--no-costs", action="store_true")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    from common.basics.files import write_json_atomic
    from tests.benchmarks.throughput import machine

    path = options.output / "shared_store.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = None
        if postgres.missing() is None:
            setting = f"max_connections={CONNECTIONS}"
            url = stack.enter_context(postgres.server(setting))[0]
        else:
            print(postgres.missing(), file=sys.stderr)
        # Imports all, and starts no threads: the workers are forked from here.
        make_oracle(folder / "import", f"sqlite:///{folder}/import.db", "import")
        results["machine"] = machine()
        if url is not None and options.workers:
            results["many"] = []
            for count in options.workers:
                kills = max(count // 8, 1)
                row = many(url, folder / str(count), count, options.trials, kills)
                results["many"].append(row)
                write_json_atomic(path, results)
        if not options.no_costs:
            now = results.setdefault("costs", {})["now"] = {}
            for name, where in (("sqlite", f"sqlite:///{folder}/costs.db"), ("postgresql", url)):
                if where is not None:
                    now[name] = costs(where, folder / name)
                    write_json_atomic(path, results)
    print(table(json.loads(path.read_text())))


if __name__ == "__main__":
    main()
