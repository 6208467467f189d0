"""What a search shows: its curve in the order of time, sweep.html, and a contest of methods."""

import dataclasses
import math
import re

import pytest

from common.basics.errors import RecipeError
from common.basics.files import read_json, write_json_atomic
from common.tuning import contest, figures, measures, ranges, report
from common.tuning import space as spaces
from common.tuning.definition import Definition
from common.tuning.store import Store
from common.tuning.trial import COMPLETED, FAILED, PRUNED, RUNNING, Trial, history
from tests import toy_sweep


def two_ranges(hp, base):
    """A space in which one name has two ranges, under two conditions."""
    kind = hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["a"]):
        if kind == "a":
            rate = hp.Float("rate", 1e-3, 1e-1, step=10, sampling="log")
            units = hp.Choice("units", [8, 16])
    with hp.conditional_scope("kind", ["b"]):
        if kind == "b":
            rate = hp.Float("rate", 1e-2, 1.0, step=10**0.5, sampling="log")
            units = hp.Choice("units", [8, 16, 32])
    return dataclasses.replace(base, kind=kind, rate=rate, units=units)


def finished(directory, method="random", seed=0, trials=4, budget=True, rows_of=None, **options):
    """Writes what a finished search of the toy recipe leaves; returns its trials.

    Args:
        rows_of: Function of the search's score that returns what else summary.json holds; None: as
            searches of before there were tasks left it.
    """
    objective = options.get("objective", "val_accuracy")
    definition = Definition(
        recipe="toy",
        method=method,
        base=dataclasses.asdict(toy_sweep.Config()),
        preset="best",
        trials=trials,
        budget=budget,
        search_seed=seed,
        data="sample",
        objective=objective,
    )
    limits = {"trials": trials}
    if budget:
        limits = {"trials": None, "oracle": {"max_epochs": trials * definition.trial_epochs}}
    tuner = toy_sweep.make_tuner(method, directory, seed=seed, **limits, **options)
    tuner.search()
    found = tuner.oracle.store.read()
    dataclasses.replace(definition, space=tuner.oracle.space.to_list()).write(directory)
    data = {"label": "TOY", "note": "", "fingerprint": "f" * 64}
    data["counts"] = {"train": 30, "validation": 10}
    environment = dict.fromkeys(("started", "command", "cpu", "backend", "commit"), "x")
    environment |= {"accelerators": [], "cpu_count": 2, "versions": {"keras": "3"}, "data": data}
    write_json_atomic(directory / "environment.json", environment)
    best = max if objective == "val_accuracy" else min
    score = best(trial.score for trial in found if trial.status == COMPLETED)
    rows = [{"seed": 1, "val_accuracy": score, "val_loss": 1.0, "test_accuracy": score - 0.1}]
    summary = {"search_score": score, "retrain_epochs": 9, "retrained": rows, "start": []}
    summary |= rows_of(score) if rows_of else {}
    write_json_atomic(directory / "summary.json", summary)
    return found


def trial(number, status, *parts):
    """Returns a Trial that ended with the last of its parts."""
    _, epochs, score = parts[-1]
    return Trial(number, {}, status, epochs=epochs, score=score, parts=[list(p) for p in parts])


def test_the_curve_runs_in_the_order_in_which_trials_ended():
    trials = [
        trial(0, COMPLETED, (0, 1, 0.3), (5, 9, 0.9)),  # promoted after all others had their turn
        trial(1, PRUNED, (2, 1, 0.2)),  # of another worker, which was slower
        trial(2, PRUNED, (1, 1, 0.4), (4, 3, 0.5)),
        trial(3, FAILED, (3, 2, 0.8)),  # what it scored before it failed does not count
        Trial(4, {}, RUNNING),
    ]
    epochs, best = figures.best_so_far(trials, "val_accuracy", True)
    # By hand: 1, then 1, 1, 2, then 3 - 1 more, then 9 - 1 more.
    assert epochs.tolist() == [1, 2, 3, 5, 7, 15]
    assert best.tolist() == [0.3, 0.4, 0.4, 0.4, 0.5, 0.9]
    _, lowest = figures.best_so_far(trials, "val_loss", False)
    assert lowest.tolist() == [0.3, 0.3, 0.2, 0.2, 0.2, 0.2]


def test_nothing_is_best_before_the_first_score():
    trials = [trial(0, FAILED, (0, 2, None)), trial(1, COMPLETED, (1, 9, 0.5))]
    epochs, best = figures.best_so_far(trials, "val_accuracy", True)
    assert epochs.tolist() == [2, 11]
    assert math.isnan(best[0])
    assert best[1] == 0.5


def test_trials_of_before_parts_were_noted_come_first_in_their_order():
    old = {"number": 0, "values": {}, "status": COMPLETED, "epochs": 9, "score": 0.5}
    trials = [Trial(**old), Trial(**{**old, "number": 1, "score": 0.7})]
    new = Trial(2, {}, COMPLETED, epochs=9, score=0.6)
    new.note_end(trials)
    assert new.parts == [[0, 9, 0.6]]
    epochs, best = figures.best_so_far([*trials, new], "val_accuracy", True)
    assert (epochs.tolist(), best.tolist()) == ([9, 18, 27], [0.5, 0.7, 0.7])


def test_hyperbands_curve_is_what_a_witness_would_have_drawn(tmp_path):
    ends, seen = [], {}

    def train(config, run):
        toy_sweep.train(config, run)
        rows = (run.directory / "history.csv").read_text().splitlines()[1:]
        scores = [float(row.split(",")[-1]) for row in rows]
        number = run.directory.parent.name
        best = max([*scores, *(score for _, score in ends)])
        ends.append((len(rows) - seen.get(number, 0), best))
        seen[number] = len(rows)

    # Stopped and continued in between: the order is in the files.
    for budget in (1, 3):
        tuner = toy_sweep.make_tuner(
            "hyperband", tmp_path / "s", trials=budget, module={"train": train}
        )
        tuner.search()
    trials = tuner.oracle.store.read()
    epochs, best = figures.best_so_far(trials, "val_accuracy", True)
    assert len(ends) > len(trials)
    assert epochs.tolist() == [sum(part for part, _ in ends[: i + 1]) for i in range(len(ends))]
    assert best.tolist() == [score for _, score in ends]
    assert history(trials)[-1][-1] == sum(each.epochs for each in trials)


def test_the_page_of_a_search_with_two_ranges_of_one_name(tmp_path):
    directory = tmp_path / "s"
    trials = finished(directory, trials=21, budget=False, space=two_ranges, prune=False)
    page = report.write_report(directory).read_text()
    assert page.count("data:image/png") == 5
    entries = spaces.Space.from_list(Definition.read(directory).space).entries
    titles = ["kind", "rate, kind is a", "units, kind is a", "rate, kind is b", "units, kind is b"]
    assert ranges.titles(entries) == titles
    names, _, explained = report.importances(trials, entries)
    assert names == titles
    assert explained > 0
    # The best came when the curve says so.
    ends = history(trials)
    best = max(score for _, score, _ in ends)
    at = next(epochs for _, score, epochs in ends if score == best)
    top = next(each for each in trials if each.score == best)
    title = report._progress_title(trials, top, Definition.read(directory))
    assert title.endswith(f"came after {at} of {sum(each.epochs for each in trials)} epochs")


@pytest.mark.parametrize("method", ["tpe", "bayesian", "evolution", "hyperband", "grid"])
def test_every_method_searches_two_ranges_of_one_name(method, tmp_path):
    if method == "tpe":
        pytest.importorskip("optuna", reason="tpe needs the extra [optuna]")
    tuner = toy_sweep.make_tuner(
        method, tmp_path, trials=5 if method == "hyperband" else 21, space=two_ranges
    )
    tuner.search()
    # 3 rates and 2 units of one kind, 5 and 3 of the other.
    assert tuner.oracle.space.size == 3 * 2 + 5 * 3
    for each in tuner.oracle.store.read():
        wide = each.values["rate"] > 0.1 or each.values["units"] == 32
        assert each.values["kind"] == "b" or not wide


def test_a_changed_range_of_a_name_with_two_is_noticed():
    from common.basics.errors import UsageError

    spaces_of = []
    for top in (1e-1, 1e-2):
        entry = {"name": "rate", "default": 0.1, "conditions": [], "max_value": top}
        other = {**entry, "max_value": 5.0}
        spaces_of.append([{"class_name": "Float", "config": each} for each in (entry, other)])
    held, new = (
        Definition("mnist_cnn", "random", {"seed": 0}, "best", space=space) for space in spaces_of
    )
    held.check_same(held, "here")
    with pytest.raises(UsageError, match="search space, rate:"):
        new.check_same(held, "here")


@pytest.fixture(scope="module")
def contested(tmp_path_factory):
    """A contest of two methods with two seeds each, 4 trainings of 9 epochs a search."""
    folder = tmp_path_factory.mktemp("contest")
    for method in ("random", "hyperband"):
        for seed in range(2):
            finished(folder / f"{method}-seed{seed}", method, seed)
    return folder, contest.write_report(folder, ["random", "hyperband"], 2)


def test_a_contest_ranks_by_the_scores_of_equal_seeds(contested):
    folder, _ = contested
    result = read_json(folder / "contest.json")
    assert (result["budget_epochs"], result["seeds"]) == (36, 2)
    scores = {
        method: [
            read_json(folder / f"{method}-seed{seed}" / "summary.json")["search_score"]
            for seed in range(2)
        ]
        for method in ("random", "hyperband")
    }
    for row in result["rows"]:
        (other,) = scores.keys() - {row["method"]}
        mine, theirs = scores[row["method"]], scores[other]
        ranks = [1 + (b > a) + 0.5 * (a == b) for a, b in zip(mine, theirs, strict=True)]
        assert row["ranks"] == ranks
        assert row["rank"] == sum(ranks) / 2
        assert row["scores"] == mine
        assert row["tests"] == pytest.approx([score - 0.1 for score in mine])
        found = [Store(folder / f"{row['method']}-seed{seed}").read() for seed in range(2)]
        assert row["trials"] == sum(map(len, found)) / 2
    assert [row["rank"] for row in result["rows"]] == sorted(row["rank"] for row in result["rows"])


def test_equal_scores_share_their_ranks(tmp_path):
    for method in ("random", "grid", "evolution"):
        finished(tmp_path / f"{method}-seed0", method, trials=2)
        file = tmp_path / f"{method}-seed0" / "summary.json"
        score = 0.5 if method == "evolution" else 0.7
        write_json_atomic(file, {**read_json(file), "search_score": score})
    contest.write_report(tmp_path, ["random", "grid", "evolution"], 1)
    rows = read_json(tmp_path / "contest.json")["rows"]
    assert {row["method"]: row["rank"] for row in rows} == {
        "random": 1.5,
        "grid": 1.5,
        "evolution": 3,
    }


def test_the_page_and_the_table_of_a_contest(contested):
    folder, path = contested
    page, result = path.read_text(), read_json(folder / "contest.json")
    assert "toy: search methods compared" in page
    assert "36 epochs a search" in page
    assert "Sample data" in page
    assert page.count("data:image/png") == 1
    lines = contest.table_text(result).splitlines()
    assert lines[0].split() == list(contest.HEADS)
    for line, row in zip(lines[1:], result["rows"], strict=True):
        shown = contest.shown(row, measures.headline_of(result))
        assert re.split(r"  +", line.strip()) == [shown[head] for head in contest.HEADS]
        for head in contest.HEADS:
            assert shown[head] in page


def test_a_contests_curves_are_those_of_the_searches(contested, monkeypatch, tmp_path):
    folder, _ = contested
    drawn = {}

    def race(lines, *args, **kwargs):
        drawn.update(lines)
        return b"png"

    monkeypatch.setattr(figures, "race", race)
    contest.write_report(folder, ["random", "hyperband"], 2)
    for method, (grid, curves) in drawn.items():
        for seed, curve in enumerate(curves):
            ends = history(Store(folder / f"{method}-seed{seed}").read())
            for epochs, value in zip(grid, curve, strict=True):
                # The best of what had ended by then.
                scores = [s for _, s, spent in ends if spent <= epochs and s is not None]
                assert value == max(scores) if scores else math.isnan(value)


def test_a_folder_without_a_trial_that_worked_has_no_report(tmp_path):
    finished(tmp_path / "s", trials=2)
    for path in (tmp_path / "s").glob("trials/*/trial.json"):
        write_json_atomic(path, {**read_json(path), "status": FAILED})
    with pytest.raises(RecipeError, match="no finished trial to report"):
        report.write_report(tmp_path / "s")


def test_the_axis_of_a_race_leaves_out_the_start(monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "to_png", drawn.append)
    lines = {"random": (range(1, 11), [[0.1, 0.3, 0.8, 0.8, *[0.9] * 6]])}
    for skip in (0.0, 0.3):
        figures.race(lines, "epochs", "accuracy", "title", skip=skip)
    lows = [figure.axes[0].get_ylim()[0] for figure in drawn]
    assert lows[0] < 0.1
    assert lows[1] == pytest.approx(0.79)
    # Nothing but one value, or none within the budget: whatever matplotlib makes of it.
    for values in ([0.5, 0.5], [math.nan, math.nan]):
        figures.race({"random": ([1, 2], [values])}, "epochs", "accuracy", "title", skip=0.3)
