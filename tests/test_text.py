"""The text encoder: ids by frequency, rows that a mask can be made of, files that load again."""

import json
import re

import numpy as np
import pytest

from common.basics.errors import RecipeError, UsageError
from common.basics.patterns import PATTERNS_BEFORE
from common.data import tokens
from common.data.text import TextEncoder, tell_unknown
from common.data.tokens import Tokens, tokenise

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


@pytest.fixture
def many(tmp_path, monkeypatch):
    """Texts enough to be worth the cache, with an empty one, and a cache of their own."""
    monkeypatch.setenv("KERAS_RECIPE_BOX_CACHE", str(tmp_path))
    monkeypatch.setattr(tokens, "_memory", {})
    monkeypatch.setattr(tokens, "WORTH_KEEPING", 3)
    return ["Good film, good END!", "...", "a <b>bad</b> film", "good"]


def forget():
    tokens._memory.clear()


def test_words_are_found_again_in_the_cache(many, tmp_path, monkeypatch):
    first = Tokens.of(many)
    assert first.words == ["good", "film", "end", "!", "a", "bad"]
    assert first.ids.tolist() == [0, 1, 0, 2, 3, 4, 5, 1, 0]
    assert first.offsets.tolist() == [0, 5, 5, 8, 9]
    forget()
    monkeypatch.setattr(tokens, "tokenise", None)
    again = Tokens.of(many)
    assert again.words == first.words
    np.testing.assert_array_equal(again.ids, first.ids)
    np.testing.assert_array_equal(again.offsets, first.offsets)


def test_another_text_is_another_entry_and_old_ones_go(many, tmp_path, monkeypatch):
    monkeypatch.setattr(tokens, "FILES_KEPT", 2)
    for last in ("x", "y", "z"):
        Tokens.of([*many, last])
    assert len(list((tmp_path / "tokens").glob("*.npz"))) == 2
    # Where one text ends and the next begins matters.
    assert tokens._key(["ab", "c"]) != tokens._key(["a", "bc"])


def test_a_damaged_entry_is_made_anew(many, tmp_path):
    Tokens.of(many)
    (file,) = (tmp_path / "tokens").glob("*.npz")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    forget()
    assert Tokens.of(many).words[0] == "good"
    forget()
    assert Tokens._read(file).words[0] == "good"


def test_a_cache_that_cannot_be_written_is_a_note(many, tmp_path, capsys):
    (tmp_path / "tokens").write_text("a file where the folder should be")
    assert Tokens.of(many).words[0] == "good"
    assert "split into words at every start" in capsys.readouterr().err


def test_texts_without_a_word_at_all(many):
    for _ in range(2):
        encoder = TextEncoder.fit(["...", "-", "..."], 10, 2)
        assert encoder.words == []
        assert encoder.encode(["...", "-", "..."]).tolist() == [[1, 0]] * 3
        forget()


def test_scripts_without_spaces_are_split_by_character():
    assert tokenise("这部电影2023年 ok\uff01") == [*"这部电影", "2023", "年", "ok", "\uff01"]
    assert tokenise("東京タワー") == [*"東京タワー"]
    for text in ("สวัสดี", "ພາສາ", "ភាសា", "မြန်မာ", "\U00020bb7"):
        assert tokenise(text) == [*text]


def test_scripts_with_spaces_keep_their_words_and_the_marks_in_them():
    assert tokenise("नमस्ते दुनिया। वाह!") == ["नमस्ते", "दुनिया", "वाह", "!"]
    assert tokenise("كِتَاب جميل؟") == ["كِتَاب", "جميل"]
    assert tokenise("영화는 최고였다") == ["영화는", "최고였다"]
    # Accents as characters of their own, as some file systems write them; Turkish capitals.
    assert tokenise("fe\u0302te d'e\u0301te\u0301") == ["fe\u0302te", "d'e\u0301te\u0301"]
    assert tokenise("İzmir") == ["i\u0307zmir"]


def test_a_vocabulary_says_how_its_words_were_split(tmp_path):
    path = tmp_path / "vocabulary.json"
    encoder = TextEncoder.fit(["很好 good", "不好 bad"], 20, 6)
    encoder.save(path)
    held = json.loads(path.read_text())
    assert set(held["patterns"]) == {"tag", "word"}
    # What a reader without this package does.
    text = re.sub(held["patterns"]["tag"], " ", "<b>It\u2019s</b> 很好!").lower()
    assert re.findall(held["patterns"]["word"], text.replace("\u2019", "'")) == [
        *("it's", "很", "好", "!")
    ]
    assert TextEncoder.load(path).encode(["不好"]).tolist() == encoder.encode(["不好"]).tolist()
    # Written before: the patterns of then, so that old runs predict as they did.
    del held["patterns"]
    held["words"] = ["不好"]
    path.write_text(json.dumps(held))
    assert TextEncoder.load(path).encode(["不好"]).tolist() == [[2, 0, 0, 0, 0, 0]]
    for damaged in ({"tag": "<", "word": "["}, {"word": "a"}, {"tag": 1, "word": 2}, "words"):
        path.write_text(json.dumps({**held, "patterns": damaged}))
        with pytest.raises(RecipeError, match="is not a vocabulary"):
            TextEncoder.load(path)


def test_other_patterns_are_another_entry_of_the_cache(many):
    texts = ["不好", "很好", "a"]
    assert Tokens.of(texts).words == [*"不好很", "a"]
    assert Tokens.of(texts, PATTERNS_BEFORE).words == ["不好", "很好", "a"]
    forget()
    assert Tokens.of(texts).words == [*"不好很", "a"]


def test_the_share_of_unknown_words_leaves_padding_out():
    encoder = TextEncoder(["a", "b"], 4, 5)
    ids = encoder.encode(["a b x", "a", "..."])
    assert encoder.unknown_share(ids) == 2 / 5
    assert encoder.unknown_share(ids[:0]) == 0


def test_many_unknown_words_are_a_warning(capsys):
    tell_unknown(0.05)
    out, err = capsys.readouterr()
    assert out == "5.0% of the words of the validation texts are not in the vocabulary.\n"
    assert err == ""
    tell_unknown(0.97)
    assert "warning: the model does not know 97% of the words" in capsys.readouterr().err
