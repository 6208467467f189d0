"""Translations: texts as numbers, their scores, pairs as they are read, batches, answers."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest

from common import data
from common.basics.errors import RecipeError, UsageError
from common.cli import main
from common.data import pairs, sample_pairs
from common.data.pieces import END, START, UNKNOWN, PieceEncoder
from common.runs.options import Options
from common.runs.run import Run
from common.tasks import translation
from common.tasks.translation import Translation, pack, unpack
from common.training.pair_batches import PairBatches
from recipes.translation_seq2seq.forgetting import Successive
from recipes.translation_seq2seq.train import PRESETS, TASK, Config, load_data, train
from recipes.translation_seq2seq.translator import text_of

LONG = ["the cat sat on the mat", "a dog ran over the old bridge", "two men play chess here"]


def outputs(truth, found):
    return {
        "val_truth": pack(truth[:2]),
        "val_outputs": pack(found[:2]),
        "test_truth": pack(truth),
        "test_outputs": pack(found),
    }


@pytest.mark.parametrize("texts", [["a", "longer ß \N{GRINNING FACE}", ""], [""], ["x"] * 3])
def test_texts_become_numbers_and_texts_again(texts):
    assert unpack(pack(texts)) == texts
    assert pack(texts).dtype == "uint32"


def test_rows_of_tokens_too():
    rows = np.array([["ab", "c", ""], ["d", "", ""]])
    assert unpack(pack(rows)) == [["ab", "c", ""], ["d", "", ""]]


def test_what_are_no_texts_is_refused():
    with pytest.raises(ValueError, match="no packed texts"):
        unpack(np.full((2, 3), 0x110000))


def test_long_texts_are_scored_by_bleu_as_sacrebleu_has_it():
    from sacrebleu import corpus_bleu, corpus_chrf

    task, found = Translation(None), [*LONG[:2], "two men are playing chess"]
    scores = task.score(outputs(LONG, found))["test"]
    assert scores["score"] == scores["bleu"] == pytest.approx(corpus_bleu(found, [LONG]).score)
    assert scores["chrf"] == pytest.approx(corpus_chrf(found, [LONG]).score)
    assert scores["exact"] == 2 / 3
    assert "tok:13a" in scores["signature"]
    low, high = scores["score_interval"]
    assert low < scores["score"] <= high <= 100
    shown = task.headline_of(task.score(outputs(LONG, found)))
    assert (shown.name, shown.count, shown.unit) == ("BLEU", 3, "")
    each = task.example_scores(outputs(LONG, found))
    assert each[:2].tolist() == pytest.approx([100, 100])
    assert each[2] < 90


def test_short_ones_by_the_share_of_exact_answers():
    task, truth = Translation(None), ["12", "7", "1999-03-02", "5"]
    scores = task.score(outputs(truth, ["12", "8", "1999-03-02", "5"]))
    assert scores["test"]["score"] == 0.75
    assert "bleu" not in scores["test"]
    shown = task.headline_of(scores)
    assert (shown.name, shown.unit, shown.validation) == ("exact match", "%", 0.5)
    assert task.example_scores(outputs(truth, ["12", "8", "1999-03-02", "5"])).tolist() == [
        1,
        0,
        1,
        1,
    ]


def test_sources_that_training_has_are_told_apart():
    task, found = Translation(None), ["x", "7", "5"]
    scores = task.score(outputs(["x", "6", "5"], found), seen=np.array([True, False, False]))
    assert scores["test"]["unseen"] == {"count": 2, "score": 0.5}
    (remark,) = task.remarks(scores)
    assert "1 of the 3 test sources" in remark
    assert "50.00 %" in remark


def test_baselines_copy_and_look_up(tmp_path):
    (tmp_path / "train.tsv").write_text(
        "".join(f"number {n}, please\tdie Zahl {n} bitte schön\n" for n in range(100, 140))
    )
    (tmp_path / "test.tsv").write_text("number 117, pleas\tdie Zahl 117 bitte schön\n" * 2)
    splits = pairs.load(tmp_path, validation_fraction=0.1)
    truth = list(splits.test.y)
    copied, memory = Translation(None).baselines(splits, outputs(truth, truth))
    assert copied["value"] < 20
    # 117 may have gone to validation: another number is next then.
    expected = 100 if "number 117, please" in set(splits.train.x) else 20
    assert memory["value"] >= expected
    nearest = translation.nearest_source(["abc def", "xyz uvw", "abcdef"], ["xyz", "abc de"])
    assert nearest.tolist() == [1, 0]


def test_the_verdict_does_not_take_another_search_for_a_rival():
    task, truth = Translation(None), ["1", "2", "3", "4"] * 20
    held = outputs(truth, truth)
    rows = [
        task.beside("copying the source", held, ["0"] * 80),
        task.beside("the same network, greedy search", held, truth),
    ]
    scores = task.score(held)
    metrics = {"headline": task.headline_of(scores).to_dict(), **scores, "baselines": rows}
    assert task.verdict(metrics).startswith("better than copying the source")


def test_worst_middle_and_best_are_shown():
    scores = np.array([0, 1, 1, 0, 1, 0.5, 1, 1, 0.2, 0.1])
    truth = np.ones((10, 6), int)
    truth[4] = 0
    chosen = translation.chosen_examples(scores, truth)
    assert set(chosen[:2]) == {0, 3}
    assert len(set(chosen.tolist())) == len(chosen) == 6
    assert (scores[chosen[-2:]] == 1).all()
    assert 4 not in chosen[-2:]


def test_maps_of_attention_have_one_shape():
    maps = [(["a"], ["x", "yy"], np.full((2, 1), 0.5)), (["b", "c", "d"], ["z"], np.ones((1, 3)))]
    held = translation.packed_maps(maps)
    assert held["shown_attention"].shape == (2, 2, 3)
    assert held["shown_attention"][0].tolist() == [[0.5, 0, 0], [0.5, 0, 0]]
    assert unpack(held["shown_target"]) == [["x", "yy"], ["z", ""]]
    assert len(translation.packed_maps([])["shown_attention"]) == 0


@pytest.mark.parametrize("unit", ["character", "piece"])
def test_pieces_lose_nothing(unit):
    texts = ["Zwei  Männer, 12:30!", "ein  Hund", "Männer"] * 30
    encoder = PieceEncoder.fit(texts, 60, unit)
    for text in (*texts[:3], "Hund Hund"):
        (ids,) = encoder.encode([text], 50, end=True)
        assert ids[np.flatnonzero(ids)[-1]] == END
        assert text_of(ids, encoder.pieces) == text
    assert encoder.encode(["", "Q"], 5).tolist() == [[UNKNOWN]] * 2 or unit == "piece"
    assert encoder.encode([""], 5, end=True).tolist() == [[END]]
    assert encoder.encode(["Männer"], 1).shape == (1, 1)


def test_few_texts_get_few_pieces(tmp_path):
    encoder = PieceEncoder.fit(["aa bb cc"] * 10, 1000, "piece")
    assert len(encoder) <= 4 + 1 + 4 + 80 // 40
    encoder.save(tmp_path / "source.model")
    loaded = PieceEncoder.load(tmp_path / "source.model")
    assert loaded.pieces == encoder.pieces
    (tmp_path / "source.model").write_bytes(b"nothing")
    with pytest.raises(RecipeError, match="no SentencePiece model"):
        PieceEncoder.load(tmp_path / "source.model")
    with pytest.raises(RecipeError, match="larger --vocabulary-size"):
        PieceEncoder.fit(["abcdefghijklmnopqrstuvwxyz"], 8, "piece")


def test_generated_splits_share_nothing():
    parts = sample_pairs.dates([300, 40, 50])
    days = [set(targets) for _, targets in parts]
    assert [len(each) for each in days] == [300, 40, 50]
    assert not (days[0] & days[1])
    assert not (days[0] & days[2])
    assert not (days[1] & days[2])
    sums = sample_pairs.addition([3000, 400, 500])
    keys = [
        {tuple(sorted(map(int, source.split("+")))) for source in sources} for sources, _ in sums
    ]
    assert [len(each) for each in keys] == [3000, 400, 500]
    assert not (keys[0] & keys[2])
    assert not (keys[0] & keys[1])
    assert all(
        sum(map(int, source.split("+"))) == int(target)
        for sources, targets in sums
        for source, target in zip(sources, targets, strict=True)
    )


def test_ways_of_writing_a_date():
    import datetime

    day = datetime.date(1951, 11, 2)
    assert [sample_pairs.written(day, way) for way in range(10)] == [
        "2 November 1951",
        "November 2, 1951",
        "Friday, 2 November 1951",
        "2nd of November, 1951",
        "Nov 2 1951",
        "02/11/1951",
        "11/2/1951 (US)",
        "1951.11.02",
        "Fri Nov 2nd '51 (20th c.)",
        "the 2nd day of november in 1951",
    ]


def test_pairs_of_one_source_stay_on_one_side(tmp_path):
    path = tmp_path / "own.tsv.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(f"source {n // 3}\ttarget {n}\n" for n in range(240))
        file.write("a line that is no pair\n")
    splits = pairs.load(path, validation_fraction=0.2)
    sides = [set(split.x) for split in (splits.train, splits.val, splits.test)]
    assert not (sides[0] & sides[1])
    assert not (sides[0] & sides[2])
    assert not (sides[1] & sides[2])
    assert len(splits.train) + len(splits.val) + len(splits.test) == 240
    assert splits.info.kind == "pair"
    assert "1 lines that are no pair left out" in " ".join(splits.info.remarks)


def test_files_that_cannot_be_used_are_named(tmp_path):
    with pytest.raises(UsageError, match="no data at"):
        pairs.load(tmp_path / "none.tsv", validation_fraction=0.1)
    with pytest.raises(RecipeError, match="no file for train"):
        pairs.load(tmp_path, validation_fraction=0.1)
    bad = tmp_path / "train.tsv"
    bad.write_text("no tab here\n" * 30)
    with pytest.raises(RecipeError, match="30 of 30 lines are no pair"):
        pairs.load(bad, validation_fraction=0.1)
    bad.write_bytes(b"a\tb\xff\n")
    with pytest.raises(RecipeError, match="not UTF-8"):
        pairs.load(bad, validation_fraction=0.1)
    bad.write_text("a\tb\n" * 3)
    with pytest.raises(RecipeError, match="20 are needed"):
        pairs.load(bad, validation_fraction=0.1)
    (tmp_path / "train2.tsv").write_text("a\tb\n")
    with pytest.raises(RecipeError, match="several files for train"):
        pairs.load(tmp_path, validation_fraction=0.1)
    (tmp_path / "train2.tsv").unlink()
    known = data.PairSet("m", "Known", counts=(4, 5, 6), variable="M", where="")
    with pytest.raises(RecipeError, match="is not Known"):
        pairs.load(tmp_path, validation_fraction=0.1, known=known)


@pytest.mark.parametrize("bucketing", [True, False])
def test_batches_of_pairs(bucketing):
    random = np.random.default_rng(0)
    lengths = random.integers(1, [[20], [11]], (2, 50))
    source, target = np.zeros((50, 20), "int32"), np.zeros((50, 12), "int32")
    for row in range(50):
        source[row, : lengths[0, row]] = row + 10
        target[row, : lengths[1, row]] = row + 10
        target[row, lengths[1, row]] = END
    batches = PairBatches(
        source, target, start=START, batch_size=16, seed=3, width=4, bucketing=bucketing
    )
    seen, padding = [], 0
    for index in range(batches.num_batches):
        (x, before), after, weights = batches[index]
        assert len(batches.shapes) == 4
        assert x.shape[1] % 4 == 0 or x.shape[1] == 20
        assert before.shape == after.shape == weights.shape
        seen += x[:, 0].tolist()
        padding += (x == 0).sum()
        for row, number in enumerate(x[:, 0].tolist()):
            tokens = int(lengths[1, number - 10])
            assert before[row, : tokens + 1].tolist() == [START, *[number] * tokens]
            assert after[row, : tokens + 1].tolist() == [*[number] * tokens, END]
            assert weights[row].tolist() == [1] * (tokens + 1) + [0] * (
                len(after[row]) - tokens - 1
            )
            assert not before[row, tokens + 1 :].any()
    assert sorted(seen) == [row + 10 for row in range(50)]
    assert (padding < 300) == bucketing


def test_dates_come_after_the_task_and_fill_an_epoch():
    def batches(first, count, tokens):
        ids = np.repeat(np.arange(first, first + count, dtype="int32")[:, None], tokens, axis=1)
        return PairBatches(ids, ids, start=START, batch_size=4, seed=3, bucketing=False)

    sums, few, many = batches(10, 11, 3), batches(50, 4, 5), batches(50, 30, 5)
    for then in (few, many):
        both = Successive(sums, then, start=START, switch=2)
        assert both.num_batches == 3
        for epoch in (0, 1, 2, 3):
            both.set_epoch(epoch)
            parts = [both[index] for index in range(3)]
            seen = [int(row[0]) for (x, _), _, _ in parts for row in x]
            again = [
                int(row[0])
                for (x, _), _, _ in map(both.at_epoch(epoch).__getitem__, range(3))
                for row in x
            ]
            assert seen == again
            if epoch < 2:
                assert sorted(seen) == list(range(10, 21))
            else:
                # Eleven rows of the second task: each as often as another, or once less.
                assert len(seen) == 11
                assert {50 + row for row in range(len(then.x))} >= set(seen)
                counts = [seen.count(row) for row in range(50, 50 + len(then.x))]
                assert max(counts) - min(counts) <= 1
                assert {int((after != 0).sum(1)[0]) for _, after, _ in parts} == {5}


def test_dates_afterwards_need_batches_of_one_task():
    with pytest.raises(UsageError, match="then_dates needs batches of one task"):
        Config(then_dates=1, bucketing=True)


def test_a_network_that_learns_dates_afterwards_says_how_many_it_got_right(tmp_path, monkeypatch):
    few = {"dates": (64, 8, 12), "addition": (48, 8, 10)}
    monkeypatch.setattr("recipes.translation_seq2seq.sets.COUNTS", few)
    config = Config(
        task="addition",
        units=4,
        embedding_units=4,
        batch_size=16,
        epochs=1,
        then_dates=2,
    )
    run = Run("translation_seq2seq", config, Options(run_dir=tmp_path / "run")).open()
    metrics = train(config, run)
    assert metrics["epochs"] == metrics["best_epoch"] == 3
    assert metrics["test"]["count"] == 10
    assert metrics["later"]["count"] == 12
    assert 0 <= metrics["later"]["exact"] <= 1
    assert metrics["later"]["beam"] == 4
    assert "12 answers are right" in TASK.remarks(metrics)[0]


def test_predict_translates_lines_and_keeps_empty_ones(in_tmp, monkeypatch, capsys):
    words = ["train", "translation_seq2seq", "--preset", "sample", "--data", "sample"]
    words += ["--epochs", "1", "--units", "8", "--embedding-units", "8", "--run-dir", "run"]
    assert main(words) == 0
    report = Path("run/report.html").read_text()
    assert "Ways to search" in report
    assert "where the decoder looked" in report
    lines = "2 May 1999\n\nMay 2, 1999\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    capsys.readouterr()
    assert main(["predict", "run", "-"]) == 0
    first, empty, last = capsys.readouterr().out.split("\n")[:3]
    assert empty == ""
    assert first
    assert last
    Path("dates.txt").write_text(lines)
    assert main(["predict", "run", "dates.txt", "--output", "found.csv"]) == 0
    rows = Path("found.csv").read_text().splitlines()
    assert rows[0] == "name,translation"
    assert rows[1] == f"dates.txt:1,{first}"
    assert main(["evaluate", "run"]) == 0
    assert "exact match" in capsys.readouterr().out


def test_a_known_set_of_one_file_is_cut_by_its_source_and_its_size_is_checked(
    tmp_path, monkeypatch
):
    known = data.PairSet(
        "few", "Few", counts=(40,), variable="FEW_DIR", where="Few is nowhere", test_fraction=0.1
    )
    with pytest.raises(
        RecipeError, match="Few is nowhere, and name that folder with --data-dir or FEW"
    ):
        pairs.load(None, validation_fraction=0.2, known=known)
    # Four targets to each source.
    lines = [f"source {row // 4}\ttarget {row}\n" for row in range(40)]
    (tmp_path / "train.tsv").write_text("".join(lines))
    monkeypatch.setenv("FEW_DIR", str(tmp_path))
    splits = pairs.load(None, validation_fraction=0.2, known=known)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (28, 8, 4)
    assert not set(splits.train.x) & {*splits.val.x, *splits.test.x}
    assert (splits.info.name, splits.info.source) == ("few", "full")
    (tmp_path / "train.tsv").write_text("".join(lines[:-4]))
    with pytest.raises(RecipeError, match="is not Few: expected train 40 pairs, found train 36"):
        pairs.load(None, validation_fraction=0.2, known=known)


@pytest.mark.parametrize(
    ("preset", "variable"), [("best", "MULTI30K_DIR"), ("tatoeba", "TATOEBA_DIR")]
)
def test_a_set_that_is_not_there_says_where_it_comes_from(preset, variable, monkeypatch):
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(RecipeError, match=f"https://.*{variable}"):
        load_data(PRESETS[preset], data.Source("full"))
