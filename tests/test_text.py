"""The text encoder: ids by frequency, rows that a mask can be made of, files that load again."""

import json

import numpy as np
import pytest

from common.errors import RecipeError, UsageError
from common.text import TextEncoder, tokenise

TEXTS = ["the good film, the good cast", "The BAD film.", "a <br /><br />bad end: the end"]


def test_tokenise_lowers_drops_tags_and_keeps_apostrophes():
    assert tokenise("It's GOOD.<br /><br />Don't<b>miss</b> it...") == [
        *("it's", "good", "don't", "miss", "it")
    ]
    assert tokenise("a < b and c > d") == ["a", "b", "and", "c", "d"]
    assert tokenise("isn\u2019t 'quoted' snake_case 10/10") == [
        *("isn't", "quoted", "snake", "case", "10", "10")
    ]
    assert tokenise("Schöne Grüße, мир") == ["schöne", "grüße", "мир"]
    assert tokenise("... <br />") == []
    assert tokenise("What?! No.") == ["what", "?", "!", "no"]


def test_ids_follow_frequency_then_the_alphabet():
    encoder = TextEncoder.fit(TEXTS, vocabulary_size=100, max_tokens=8)
    # the 4; bad, end, film, good 2; a, cast 1.
    assert encoder.words == ["the", "bad", "end", "film", "good", "a", "cast"]
    assert len(encoder) == 9
    assert TextEncoder.fit(TEXTS[::-1], 100, 8).words == encoder.words


def test_the_vocabulary_size_counts_padding_and_unknown():
    encoder = TextEncoder.fit(TEXTS, vocabulary_size=5, max_tokens=8)
    assert encoder.words == ["the", "bad", "end"]
    ids = encoder.encode(TEXTS)
    assert ids.max() == 4
    assert ids.tolist()[0] == [2, 1, 1, 2, 1, 1, 0, 0]


def test_rows_are_padded_at_the_end_and_keep_the_last_tokens():
    encoder = TextEncoder(["a", "b", "c", "d"], vocabulary_size=6, max_tokens=3)
    ids = encoder.encode(["a b c d", "b", "", ".,", "x"])
    assert ids.dtype == np.int32
    assert ids.tolist() == [[3, 4, 5], [3, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]]
    assert encoder.lengths(ids).tolist() == [3, 1, 1, 1, 1]
    first = TextEncoder(["a", "b", "c", "d"], 6, 3, keep="first")
    assert first.encode(["a b c d"]).tolist() == [[2, 3, 4]]
    assert encoder.encode([]).shape == (0, 3)


def test_decode_gives_the_words_back():
    encoder = TextEncoder.fit(TEXTS, 100, 8)
    assert encoder.decode(encoder.encode(["The good zebra"])[0]) == "the good [UNK]"
    assert encoder.decode(encoder.encode(["bad", "end"])) == ["bad", "end"]


def test_saved_and_loaded_it_encodes_the_same(tmp_path):
    encoder = TextEncoder.fit(TEXTS, 6, 4, keep="first")
    encoder.save(tmp_path / "vocabulary.json")
    again = TextEncoder.load(tmp_path / "vocabulary.json")
    np.testing.assert_array_equal(again.encode(TEXTS), encoder.encode(TEXTS))
    assert (again.vocabulary_size, again.max_tokens, again.keep) == (6, 4, "first")


@pytest.mark.parametrize(
    "held", ["{", "[]", '{"words": 3}', '{"words": [1], "vocabulary_size": 5, "max_tokens": 2}']
)
def test_a_damaged_vocabulary_is_one_clear_error(tmp_path, held):
    path = tmp_path / "vocabulary.json"
    path.write_text(held)
    with pytest.raises(RecipeError, match=r"vocabulary\.json is not a"):
        TextEncoder.load(path)
    with pytest.raises(RecipeError, match="no vocabulary"):
        TextEncoder.load(tmp_path / "absent.json")


def test_impossible_sizes_are_refused():
    with pytest.raises(UsageError, match="vocabulary_size"):
        TextEncoder([], 2, 5)
    with pytest.raises(UsageError, match="max_tokens"):
        TextEncoder([], 10, 0)
    with pytest.raises(UsageError, match="keep"):
        TextEncoder([], 10, 5, keep="middle")


def test_long_reviews_are_cut_and_the_vocabulary_is_full(tmp_path):
    random = np.random.RandomState(0)
    words = np.array([f"word{index}" for index in range(5000)])
    texts = [" ".join(words[random.randint(0, 5000, 230)]) for _ in range(1000)]
    encoder = TextEncoder.fit(texts, 4000, 200)
    ids = encoder.encode(texts)
    assert encoder.lengths(ids).min() == 200
    encoder.save(tmp_path / "v.json")
    assert len(json.loads((tmp_path / "v.json").read_text())["words"]) == 3998
