"""`recipes explain`: explains a model's answers to files, and writes pictures and their checks."""

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from common.basics.errors import RecipeError
from common.basics.files import write_bytes_atomic, write_text_atomic
from common.basics.wording import readable, shorten
from common.data import input_contents, inputs
from common.data.text import PADDING, UNKNOWN
from common.data.types import Splits
from common.explain import methods, pictures
from common.report import lettering
from common.report.rendering import data_uri
from common.runs.run import Run
from common.training.loading import load_model
from common.training.outputs import inference_batches, predict

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body {{ font: 17px/1.9 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
color: #1c2733 }} img {{ width: 100% }} span {{ padding: .1em .15em; border-radius: .2em }}</style></head>
<body><h1>{title}</h1><p>Blue words speak for it; red, underlined ones against it.</p>
<p>{words}</p><img src="{picture}" alt="Words that weigh most, and the deletion curve"></body></html>
"""


def explain_files(
    run: Run,
    encode: Callable[[Sequence | np.ndarray], np.ndarray],
    given: inputs.Given,
    label: str | None,
    output: Path | str,
) -> Iterator[str]:
    """Explains files, one after the other.

    Args:
        run: A finished run.
        encode: Makes model inputs from raw inputs; of the recipe.
        given: Files, files of folders, or rows of CSV files.
        label: Name of the class to explain. None: the predicted class of each file.
        output: Folder for the pictures.

    Yields:
        For each file the lines to print: its name, the answer, the explanation, the picture's path.

    Raises:
        UsageError: There is no such class.
        RecipeError: A file cannot be read, or the model cannot be explained.
    """
    data = run.data_info()
    names = data["class_names"]
    if label is not None:
        inputs.check_label(label, names)
    model = load_model(run.path("best.keras"))
    found = (data.get("reading") or {}).get("value_range")
    one = explain_words if data["kind"] == "text" else explain_image
    drawn = lettering.names_to_draw(names)
    for name, source in given:
        if data["kind"] == "text":
            x = encode(input_contents.read_texts([source]))[0]
        else:
            height, width, channels = model.input_shape[1:]
            x = input_contents.read_image(source, (height, width), channels, found)
        probabilities = answers(model)(x[None])[0]
        chosen = int(probabilities.argmax()) if label is None else names.index(label)
        explained = one(model, x, chosen, drawn[chosen], float(probabilities[chosen]), run)
        path = Path(output) / f"{_stem(name)}{'.html' if 'words' in explained else '.png'}"
        if "words" in explained:
            title = html.escape(f"{shorten(names[chosen], 80)}, {probabilities[chosen]:.1%}")
            uri = data_uri(explained["picture"])
            page = PAGE.format(title=title, words=explained["words"], picture=uri)
            write_text_atomic(path, readable(page))
        else:
            write_bytes_atomic(path, explained["picture"])
        yield f"{name}: {names[chosen]} {probabilities[chosen]:.1%}. {explained['text']}\n  {path}"


def _stem(name):
    """Returns the name of a file's picture, without suffix: `cat-1` for `cat/1.png` in a folder."""
    if name == "-":
        return "standard-input"
    file, colon, row = name.rpartition(":")
    if colon and Path(file).is_file():
        return f"{Path(file).stem}-{row}"
    # The user named this very file: its own name is enough.
    path = Path(Path(name).name) if Path(name).is_file() else Path(name)
    return "-".join(path.with_suffix("").parts)


def explain_examples(
    run: Run,
    encode: Callable[[Sequence | np.ndarray], np.ndarray],
    splits: Splits,
    predictions: Mapping[str, np.ndarray] | None,
    problem: str | None,
) -> tuple[list[dict[str, Any]], str | None]:
    """Explains three test examples for the report: two mistakes and a right answer.

    Args:
        run: A finished run.
        encode: Makes model inputs from raw inputs; of the recipe.
        splits: The data of the run.
        predictions: What predictions.npz holds; None where it cannot be read.
        problem: Why it cannot be read, a sentence.

    Returns:
        A dict for each example with `title`, `picture` (PNG bytes), `text` and, for a text, `words`
        (HTML); and None. Where nothing can be explained: an empty list, and a sentence that says why.
    """
    if predictions is None:
        return [], problem
    probabilities, labels = predictions["test_probabilities"], predictions["test_labels"]
    if not np.array_equal(np.asarray(splits.test.y), labels):
        return [], "The labels of the test split differ from those in predictions.npz."
    answer, certainty = probabilities.argmax(axis=1), probabilities.max(axis=1)
    order = np.argsort(-certainty, kind="stable")
    wrong, right = order[answer[order] != labels[order]], order[answer[order] == labels[order]]
    chosen = [*wrong[:2], *right[len(right) // 2 :][:1]]
    names = splits.info.class_names
    drawn = lettering.names_to_draw(names)
    raw = [splits.test.x[int(index)] for index in chosen]
    one: Callable[..., dict[str, Any]]
    if splits.info.kind == "text":
        one, inputs = explain_words, encode(raw)
    else:
        one, inputs = explain_image, np.stack(raw)
    items = []
    try:
        model = load_model(run.path("best.keras"))
        for index, x in zip(chosen, inputs, strict=True):
            label = int(answer[index])
            explained = one(model, x, label, drawn[label], float(certainty[index]), run)
            true = shorten(names[labels[index]], 80)
            verdict = "which is right" if label == labels[index] else f"truly {true}"
            title = f"Test no. {index}: {shorten(names[label], 80)}, {verdict}"
            items.append({"title": title, **explained})
    except RecipeError as error:
        return [], f"This model cannot be explained: {error}."
    return items, None


def answers(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function that takes model inputs `(n, ...)` and returns probabilities `(n, classes)`."""
    return lambda x: predict(model, inference_batches(np.asarray(x)))


def explain_image(
    model: keras.Model,
    image: np.ndarray,
    chosen: int,
    name: str,
    probability: float,
    run: Run | None = None,
) -> dict[str, Any]:
    """Explains one image.

    Args:
        model: Image classifier.
        image: uint8 `(height, width, channels)`.
        chosen: Index of the class to explain.
        name: Name of that class in the picture.
        probability: Probability of that class, 0 to 1.
        run: Not used; `explain_words` has the same arguments.

    Returns:
        `picture` (PNG bytes), `text`, and the numbers: `residual`, `similarity` (HiResCAM),
        `gradients_similarity`, and `areas`, the mean of each deletion curve by its name.
    """
    ask = answers(model)
    # The mean colour of the image stands for "nothing". Black would not do: it is the background of
    # a digit.
    fill = image.reshape(-1, image.shape[-1]).mean(axis=0).astype("uint8")
    senseless = methods.randomised(model)
    heat, other_heat = (
        methods.grad_cam(each, image[None], [chosen], average=False)[0]
        for each in (model, senseless)
    )
    (attributions, residual), (other_attributions, _) = (
        methods.integrated_gradients(each, image, chosen, baseline=fill)
        for each in (model, senseless)
    )
    checks = {
        "residual": residual,
        "similarity": methods.similarity(heat, other_heat),
        "gradients_similarity": methods.similarity(
            attributions.sum(axis=-1), other_attributions.sum(axis=-1)
        ),
    }
    curves = {
        name: methods.deletion_curve(ask, image, importance, chosen, fill=fill)
        for name, importance in (
            ("integrated gradients", attributions.sum(axis=-1)),
            ("HiResCAM", heat),
        )
    }
    curves["random"] = methods.random_deletion(ask, image, heat.size, chosen, fill=fill)
    areas = {name: curve[2] for name, curve in curves.items()}
    return {
        "picture": pictures.image_explanation(
            image, name, probability, heat, attributions, curves, checks
        ),
        "text": "Mean probability while the most marked pixels are removed: "
        + ", ".join(f"{area:.2f} by {name}" for name, area in areas.items() if name != "random")
        + f", {areas['random']:.2f} at random. Completeness residual {residual:.1%}. Rank correlation "
        f"with randomised weights: integrated gradients {checks['gradients_similarity']:.2f}, HiResCAM "
        f"{checks['similarity']:.2f}.",
        "areas": areas,
        **checks,
    }


def explain_words(
    model: keras.Model, ids: np.ndarray, chosen: int, name: str, probability: float, run: Run
) -> dict[str, Any]:
    """Explains one text.

    Args:
        model: Text classifier.
        ids: int32 `(tokens,)`, padded with 0 at the end.
        chosen, name, probability: As for `explain_image`.
        run: Its folder holds the vocabulary.

    Returns:
        `picture` (PNG bytes), `words` (HTML of the shaded text), `text`, `similarity` and `areas`.
    """
    from common.data.text import TextEncoder

    ask = answers(model)
    scores = methods.erase_words(ask, ids, chosen)
    senseless = methods.erase_words(answers(methods.randomised(model)), ids, chosen)
    similarity = methods.similarity(scores, senseless)
    encoder = TextEncoder.load(run.path("vocabulary.json"))
    # One id at a time: a word of its own for each.
    words = [str(encoder.decode(np.array([index]))) for index in ids[ids != PADDING]]
    curves = {
        "erased words": methods.deletion_curve(ask, ids, scores, chosen, fill=UNKNOWN),
        "random": methods.random_deletion(ask, ids, len(scores), chosen, fill=UNKNOWN),
    }
    picture = pictures.word_explanation(
        words, scores, name, probability, curves, {"similarity": similarity}
    )
    areas = {name: curve[2] for name, curve in curves.items()}
    signed = [
        f"{'+' if scores[i] > 0 else '-'}{shorten(words[i], 40)}"
        for i in np.argsort(-np.abs(scores))
    ]
    strongest = list(dict.fromkeys(signed))[:5]
    places = ""
    if lettering.missing("".join(words)):
        places = (
            " No font on this machine has all characters of these words: the picture gives the place "
            "in the text instead."
        )
    return {
        "picture": picture,
        "words": pictures.shaded_words(words, scores),
        "text": f"Words that weigh most, for (+) or against (-): {', '.join(strongest)}. Mean "
        f"probability while words are removed: {areas['erased words']:.2f} by their weight, "
        f"{areas['random']:.2f} at random. Rank correlation with randomised weights {similarity:.2f}."
        + places,
        "similarity": similarity,
        "areas": areas,
    }
