"""The search over answers is proved, not believed; runs on every backend."""

import itertools
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from common.basics.backend import jit_compile
from common.basics.compiled import compiled
from common.layers.decoding import END, PADDING, START, beam_search, normaliser
from common.training.pair_batches import PairBatches
from recipes.translation_seq2seq.model import build_model
from recipes.translation_seq2seq.teaching import TokenCrossentropy
from recipes.translation_seq2seq.translator import Translator

VOCABULARY, LONGEST = 6, 4
# Sources of 7, 2 and 3 tokens: no two sizes here are alike.
SOURCES = np.array([[3, 4, 5, 4, 3, 5, 3], [5, 4, 0, 0, 0, 0, 0], [4, 4, 3, 0, 0, 0, 0]], "int32")


def settings(**changes):
    held = {
        "vocabulary_size": VOCABULARY,
        "embedding_units": 5,
        "units": 8,
        "layers": 1,
        "attention": "dot",
        "reverse_source": False,
        "dropout_rate": 0.0,
        "sampling_rate": 0.0,
        "max_target": LONGEST,
        "beam": 3,
        "length_penalty": 0.6,
    }
    return SimpleNamespace(**{**held, **changes})


def network(seed=1, **changes):
    """Returns a network with large random weights: its answers differ from each other."""
    keras.utils.set_random_seed(seed)
    model = build_model(settings(**changes))
    random = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(random.normal(size=weight.shape))
    return model


KINDS = {
    "dot": {},
    "additive": {"attention": "additive", "layers": 2, "units": 7},
    "none": {"attention": "none", "layers": 2, "reverse_source": True},
}


@pytest.fixture(scope="module", params=KINDS)
def model(request):
    return network(**KINDS[request.param])


@pytest.fixture(scope="module")
def translator(model):
    """One for each network: what is compiled for a width serves several tests."""
    return Translator(model)


def log_p_of(model, source, answers):
    """Returns log p of each token of answers `(m, tokens)` to one source, by teacher forcing."""
    before = np.concatenate([np.full_like(answers[:, :1], START), answers[:, :-1]], axis=1)
    logits = model([np.repeat(source[None], len(answers), axis=0), before])
    log_p = ops.convert_to_numpy(ops.log_softmax(logits, axis=-1))
    return np.take_along_axis(log_p, answers[..., None], axis=2)[..., 0] * (answers != PADDING)


def every_answer():
    """Returns all answers that there can be, `(m, LONGEST)`: to END, or as long as may be."""
    found = set()
    for tokens in itertools.product(range(1, VOCABULARY), repeat=LONGEST):
        end = tokens.index(END) + 1 if END in tokens else LONGEST
        found.add(tokens[:end] + (PADDING,) * (LONGEST - end))
    return np.array(sorted(found), "int32")


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.5])
def test_a_beam_that_holds_all_finds_the_best_of_all_answers(model, translator, penalty):
    answers = every_answer()
    found = translator.search(SOURCES, width=len(answers), penalty=penalty)
    for row, source in enumerate(SOURCES):
        log_p = log_p_of(model, source, answers).sum(axis=1)
        scores = log_p / ((5 + np.count_nonzero(answers, axis=1)) / 6) ** penalty
        order = np.argsort(-scores)
        np.testing.assert_array_equal(found["ids"][row, :3], answers[order[:3]])
        np.testing.assert_allclose(found["scores"][row], scores[order], atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(found["log_p"][row, :3], log_p[order[:3]], atol=1e-4)


def test_a_source_alone_has_the_answers_that_it_has_in_a_batch(translator):
    together = translator.search(SOURCES, width=3)
    for row, length in enumerate((7, 2, 3)):
        alone = translator.search(SOURCES[row : row + 1, :length], width=3)
        np.testing.assert_array_equal(alone["ids"][0], together["ids"][row])
        np.testing.assert_allclose(alone["scores"][0], together["scores"][row], atol=1e-5)


@pytest.mark.parametrize("width", [1, 3])
def test_the_scores_are_those_of_teacher_forcing(model, translator, width):
    """A search that goes on adding after END fails here."""
    found = translator.search(SOURCES, width=width, penalty=0.7)
    for row, source in enumerate(SOURCES):
        ids = found["ids"][row]
        log_p = log_p_of(model, source, ids).sum(axis=1)
        np.testing.assert_allclose(found["log_p"][row], log_p, atol=1e-4)
        tokens = np.count_nonzero(ids, axis=1)
        np.testing.assert_allclose(
            found["scores"][row], log_p / ((5 + tokens) / 6) ** 0.7, atol=1e-4
        )
        assert (np.diff(found["scores"][row]) <= 1e-6).all()
        for answer in ids.tolist():
            end = answer.index(END) + 1 if END in answer else LONGEST
            assert not any(answer[end:])
            assert all(answer[:end])


def test_a_beam_of_one_is_the_greedy_loop(model, translator):
    found = translator.search(SOURCES, width=1)["ids"][:, 0]
    for row, source in enumerate(SOURCES):
        answer = []
        while len(answer) < LONGEST and END not in answer:
            before = np.array([[START, *answer]], "int32")
            logits = ops.convert_to_numpy(model([source[None], before]))[0, -1].copy()
            logits[PADDING] = -np.inf
            answer.append(int(logits.argmax()))
        assert found[row, : len(answer)].tolist() == answer
        assert not found[row, len(answer) :].any()


def test_wider_beams_are_likelier_in_the_mean():
    """Not for each source: what is likeliest at first may be displaced."""
    model = network()
    sources = np.random.default_rng(0).integers(3, VOCABULARY, (60, 5)).astype("int32")
    means = [
        Translator(model).search(sources, width=width, penalty=0.0)["log_p"][:, 0].mean()
        for width in (1, 3, 400)
    ]
    assert means[0] < means[1] <= means[2] + 1e-6


CHAIN = np.array(
    # From START, a, b: to padding, unknown, START, END, a, b. By hand: END alone .5, a END .36.
    [[0, 0, 0, 0.5, 0.4, 0.1], [0, 0, 0, 0.9, 0.05, 0.05], [0, 0, 0, 0.2, 0.4, 0.4]]
)


def chain(ids, state, context):
    row = ops.where(ids == START, 0, ops.where(ids == 4, 1, 2))
    return ops.take(ops.log(ops.convert_to_tensor(CHAIN + 1e-12, "float32")), row, axis=0), state


def test_an_answer_that_is_only_END_keeps_its_score():
    """On a chain with known probabilities; adding what follows END gives another order."""

    def search(context):
        return beam_search(chain, (), context, width=3, length=5, penalty=0.0)

    found = compiled(search)(np.zeros((2, 1), "float32"))
    assert found["ids"][1].tolist()[:2] == [[END, 0, 0, 0, 0], [4, END, 0, 0, 0]]
    np.testing.assert_allclose(np.exp(found["log_p"][1][:2]), [0.5, 0.36], rtol=1e-5)


def test_the_penalty_by_hand():
    assert normaliser(1.0, 0.6) == 1
    assert normaliser(7.0, 1.0) == 2
    assert normaliser(7.0, 0.0) == 1


def test_what_is_compiled_reads_the_weights_as_they_are():
    weight = keras.Variable(np.array([2.0], "float32"))
    double = compiled(lambda x: {"y": x * weight}, [weight])
    assert double(np.ones(3, "float32"))["y"].tolist() == [2, 2, 2]
    weight.assign([5.0])
    assert double(np.ones(4, "float32"))["y"].tolist() == [5, 5, 5, 5]


def test_a_search_of_any_width_changes_no_weight(model, translator):
    """What a network has forgotten, no search brings back."""
    before = [weight.tobytes() for weight in model.get_weights()]
    for width in (1, 3):
        translator.texts(SOURCES, width)
    assert [weight.tobytes() for weight in model.get_weights()] == before


def test_attention_is_a_distribution_over_the_words_of_the_source():
    maps = Translator(network()).attention(SOURCES)
    for (source, target, weights), length in zip(maps, (7, 2, 3), strict=True):
        assert weights.shape == (len(target), len(source)) == (len(target), length)
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    assert Translator(network(attention="none")).attention(SOURCES) is None


def test_the_state_after_some_tokens_is_all_there_is_to_know(model):
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    target = np.array([[2, 4, 5, 3], [2, 5, 5, 4], [2, 3, 0, 0]], "int32")
    whole = decoder.decode(target, *encoder(SOURCES))[0]
    memory, words, state = encoder(SOURCES)
    parts = []
    for part in (target[:, :1], target[:, 1:]):
        logits, state, _ = decoder.decode(part, memory, words, state)
        parts.append(logits)
    np.testing.assert_allclose(
        ops.convert_to_numpy(whole),
        ops.convert_to_numpy(ops.concatenate(parts, axis=1)),
        atol=1e-5,
    )


def batch():
    random = np.random.default_rng(0)
    source = random.integers(3, VOCABULARY, (16, 7)).astype("int32")
    target = random.integers(4, VOCABULARY, (16, LONGEST)).astype("int32")
    target[:, -1] = END
    target[3, 2:] = END, PADDING
    return source, target


def compiled_model(model, optimizer, smoothing=0.0):
    model.compile(optimizer, TokenCrossentropy(smoothing), jit_compile=jit_compile())
    return model


def test_scheduled_sampling_of_nothing_is_teacher_forcing_and_of_all_is_what_it_says():
    model = compiled_model(network(sampling_rate=0.5), keras.optimizers.SGD(0.0))
    (source, before), after, weights = PairBatches(*batch(), start=START, batch_size=16)[0]
    loss = TokenCrossentropy()

    def loss_of(before):
        logits = ops.stop_gradient(model([source, before]))
        return float(loss(after, logits, sample_weight=weights))

    rate = model.get_layer("decoder").sampling_rate
    forced = float(model.train_on_batch([source, before], after, weights))
    assert forced == pytest.approx(loss_of(before), abs=1e-5)
    rate.assign(1.0)
    model.reset_metrics()
    sampled = float(model.train_on_batch([source, before], after, weights))
    answers = ops.convert_to_numpy(model([source, before])).argmax(axis=-1)
    own = np.concatenate([before[:, :1], answers[:, :-1]], axis=1)
    own = np.where(before == PADDING, PADDING, own).astype("int32")
    assert (own != before).any()
    assert sampled == pytest.approx(loss_of(own), abs=1e-5)
    assert abs(sampled - forced) > 1e-3
    model.compile(keras.optimizers.SGD(0.5), loss, jit_compile=jit_compile())
    start = model.get_weights()
    model.train_on_batch([source, before], after, weights)
    for weight, old in zip(model.weights, start, strict=True):
        if weight.trainable:
            assert np.any(ops.convert_to_numpy(weight) != old), weight.path


def test_padding_changes_neither_loss_nor_accuracy():
    model = network()
    model.compile(
        keras.optimizers.SGD(0.0),
        TokenCrossentropy(0.1),
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=jit_compile(),
    )
    source, target = batch()

    def measured(source, target):
        inputs, after, weights = PairBatches(source, target, start=START, width=100, batch_size=16)[
            0
        ]
        return model.test_on_batch(list(inputs), after, weights, return_dict=True)

    plain = measured(source, target)
    padded = measured(np.pad(source, ((0, 0), (0, 5))), np.pad(target, ((0, 0), (0, 3))))
    assert plain == pytest.approx(padded, abs=1e-5)
    # Targets of other sources: a network that does not look at the source would not notice.
    shuffled = measured(source, np.roll(target, 1, axis=0))
    assert abs(shuffled["loss"] - plain["loss"]) > 1e-3


def test_the_loss_by_hand():
    logits = np.array([[[0.0, 1.0, 2.0], [1.0, 1.0, 1.0]]], "float32")
    right, weights = np.array([[2, 0]]), np.array([[1.0, 0.0]], "float32")
    log_p = logits[0, 0] - np.log(np.exp(logits[0, 0]).sum())
    for smoothing in (0.0, 0.3):
        found = float(TokenCrossentropy(smoothing)(right, logits, sample_weight=weights))
        by_hand = -(1 - smoothing) * log_p[2] - smoothing * log_p.mean()
        assert found == pytest.approx(by_hand, abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_tokens_is_that_of_a_loop(smoothing):
    logits = np.random.default_rng(0).normal(size=(2, 3, 5)).astype("float32")
    ids = np.array([[4, 1, 0], [2, 2, 3]], "int32")
    found = TokenCrossentropy(smoothing).call(*map(ops.convert_to_tensor, (ids, logits)))
    for row, column in np.ndindex(2, 3):
        scores = logits[row, column].astype("float64")
        log_p = scores - np.log(np.exp(scores).sum())
        target = np.full(5, smoothing / 5)
        target[ids[row, column]] += 1 - smoothing
        np.testing.assert_allclose(
            ops.convert_to_numpy(found)[row, column], -(target * log_p).sum(), rtol=1e-5
        )
