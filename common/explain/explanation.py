"""`recipes explain`: asks a run's model about files and writes pictures with their checks."""

import html
from pathlib import Path

import numpy as np

from common.basics.errors import RecipeError
from common.basics.files import write_bytes_atomic, write_text_atomic
from common.basics.wording import readable, shorten
from common.data import inputs
from common.data.text import PADDING, UNKNOWN
from common.explain import methods, pictures
from common.report import lettering
from common.report.rendering import data_uri
from common.training.loading import load_model
from common.training.outputs import inference_batches, predict

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body {{ font: 17px/1.9 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
color: #1c2733 }} img {{ width: 100% }} span {{ padding: .1em .15em; border-radius: .2em }}</style></head>
<body><h1>{title}</h1><p>Blue words speak for it; red, underlined ones against it.</p>
<p>{words}</p><img src="{picture}" alt="Words that weigh most, and the deletion curve"></body></html>
"""


def explain_files(run, encode, given, label, output):
    """Explains files, one after the other.

    Args:
        run: Finished Run.
        encode: The recipe's function from raw inputs to model inputs.
        given: common.data.inputs.Given: files, files of folders, rows of CSV files.
        label: Name of the class to explain; None: the predicted one of each file.
        output: Folder for the pictures.

    Yields:
        For each file, lines for a person.

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
            x = encode(inputs.read_texts([source]))[0]
        else:
            height, width, channels = model.input_shape[1:]
            x = inputs.read_image(source, (height, width), channels, found)
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
    """Returns how the picture of a file is called: `cat/1.png` of a folder is `cat-1`."""
    if name == "-":
        return "standard-input"
    file, colon, row = name.rpartition(":")
    if colon and Path(file).is_file():
        return f"{Path(file).stem}-{row}"
    # A file that was named by itself needs none of its folders.
    path = Path(Path(name).name) if Path(name).is_file() else Path(name)
    return "-".join(path.with_suffix("").parts)


def explain_examples(run, encode, splits, predictions, problem):
    """Explains test examples for the report: two mistakes and a right answer.

    Args:
        run: Finished Run.
        encode: The recipe's function from raw inputs to model inputs.
        splits: The run's Splits.
        predictions: What predictions.npz holds, or None; `problem` says why.

    Returns:
        A list of dicts with `title`, `picture` (PNG bytes), `text` and, for a text, `words` (HTML);
        and None. Where nothing can be explained: an empty list and a sentence that says why.
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


def answers(model):
    """Returns the function from model inputs to probabilities `(n, classes)`."""
    return lambda x: predict(model, inference_batches(np.asarray(x)))


def explain_image(model, image, chosen, name, probability, run=None):
    """Explains one image.

    Args:
        model: Image classifier.
        image: uint8 `(height, width, channels)`.
        chosen: Index of the class; name, its name in pictures; probability, the model's.

    Returns:
        Dict with `picture` (PNG bytes), `text`, and the numbers: `residual`, `similarity` (HiResCAM),
        `gradients_similarity`, and `areas`, the mean of each deletion curve.
    """
    ask = answers(model)
    # "Nothing", for integrated gradients and for what is removed, is the image's mean colour: black
    # would be a digit's background.
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


def explain_words(model, ids, chosen, name, probability, run):
    """Explains one text; as explain_image, with `words`, HTML of the shaded text, beside."""
    from common.data.text import TextEncoder

    ask = answers(model)
    scores = methods.erase_words(ask, ids, chosen)
    senseless = methods.erase_words(answers(methods.randomised(model)), ids, chosen)
    similarity = methods.similarity(scores, senseless)
    encoder = TextEncoder.load(run.path("vocabulary.json"))
    words = [encoder.decode(np.array([index])) for index in ids[ids != PADDING]]
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
