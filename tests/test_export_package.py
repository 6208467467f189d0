"""Exports stand alone: they say what they are, and predict.py answers as `recipes predict` does."""

import json
import os
import runpy
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from common.basics.errors import RecipeError, UsageError
from common.basics.files import read_json, write_json_atomic
from common.cli import main
from common.data.images import read_image
from common.data.text import TextEncoder
from common.export import conversion as exporting
from common.export import package as export_package
from common.export import worker
from common.export.package import Package
from common.layers import fast_lstm
from common.training.loading import load_model
from tests.helpers import train_tiny

VALUE_RANGE = [0, 65535]
TEXTS = {
    "plain": "the film was superb , moving , great",
    "tags": "Dull,<br /><BR>AWFUL film. 3 < 4, and 5<6! <i class='x'>boring</i>",
    "apostrophes": "It's the film\u2019s plot: don't!? 'great' rock'n'roll \u00c9T\u00c9 \u0130stanbul",
    "long": "great " * 60 + "dull " * 15,
    "no word": "... -- ,,",
}
# In front of predict.py: what belongs to this project is not there.
ALONE = """\
import runpy, sys
absent = ["common", "recipes"]
if sys.argv[2].endswith(".onnx"):
    absent += ["keras", "tensorflow"]
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Absent())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def runs(tiny_data, tmp_path_factory):
    """Returns runs by recipe, of weights so large that a slightly other input is another answer."""
    folder = tmp_path_factory.mktemp("package")
    made = {}
    for name, kind in (("cifar10_cnn", "image"), ("imdb_bilstm", "text")):
        run, _ = train_tiny(name, tiny_data[kind], folder / name, epochs=1)
        model = load_model(run.path("best.keras"))
        model.layers[-1].set_weights([20 * weight for weight in model.layers[-1].get_weights()])
        model.save(run.path("best.keras"))
        made[kind] = run
    environment = read_json(made["image"].path("environment.json"))
    environment["data"]["reading"] = {"value_range": VALUE_RANGE}
    write_json_atomic(made["image"].path("environment.json"), environment)
    return made


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Returns files to classify by kind: of every sort that is prepared in its own way."""
    folder = tmp_path_factory.mktemp("files")
    random = np.random.default_rng(0)

    def pixels(*shape, high=256, dtype=np.uint8):
        # Smooth enough to survive resizing, fine enough that the filter matters.
        small = random.integers(0, high, (shape[0] // 3, shape[1] // 3, *shape[2:]))
        return np.kron(small, np.ones((3, 3, *[1] * (len(shape) - 2)), int)).astype(dtype)

    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    palette = Image.fromarray(pixels(60, 60, 3)).quantize(16)
    pictures = {
        "large.png": (Image.fromarray(pixels(300, 210, 3)), {}),
        "wide.jpg": (Image.fromarray(pixels(60, 240, 3)), {}),
        "small.png": (Image.fromarray(pixels(12, 9, 3)), {}),
        "rgba.png": (Image.fromarray(pixels(90, 120, 4)), {}),
        "turned.jpg": (Image.fromarray(pixels(90, 150, 3)), {"exif": exif}),
        "grey.png": (Image.fromarray(pixels(90, 60)), {}),
        "grey_alpha.png": (Image.fromarray(pixels(90, 60, 2)), {}),
        "palette.gif": (palette, {"transparency": 3}),
        "cmyk.jpg": (Image.fromarray(pixels(60, 60, 3)).convert("CMYK"), {}),
        "deep.png": (Image.fromarray(pixels(60, 90, high=65536, dtype=np.uint16)), {}),
    }
    for name, (picture, options) in pictures.items():
        picture.save(folder / name, **options)
    for name, text in TEXTS.items():
        (folder / f"{name}.txt").write_bytes(text.encode())
    return {
        "image": [folder / name for name in pictures],
        "text": [folder / f"{name}.txt" for name in TEXTS],
    }


@pytest.fixture
def in_process(monkeypatch):
    """Converts in this process, which has TensorFlow loaded already."""
    monkeypatch.setattr(fast_lstm, "PLAIN", True)
    monkeypatch.setattr(
        exporting,
        "_run_worker",
        lambda backend, *task: worker._report(exporting._task(*task)),
    )


def package_of(run, format="savedmodel"):
    return export_package.describe(run, load_model(run.path("best.keras")), format)


def script_of(package, folder):
    """Returns what a generated predict.py defines, and the preparation of its labels.json."""
    (folder / "predict.py").write_text(package.texts["predict.py"], encoding="utf-8")
    labels = json.loads(package.texts["labels.json"])
    return runpy.run_path(str(folder / "predict.py")), labels["prepare"]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_script_prepares_images_as_training_does(runs, files, tmp_path, channels):
    script, how = script_of(package_of(runs["image"]), tmp_path)
    how["mode"] = {1: "L", 3: "RGB"}[channels]
    for file in files["image"]:
        expected = read_image(file, (32, 32), channels, VALUE_RANGE)
        np.testing.assert_array_equal(script["prepare"](file, how), expected, err_msg=file.name)


def test_deep_images_by_hand(runs, tmp_path):
    script, how = script_of(package_of(runs["image"]), tmp_path)
    values = np.array([[0, 1000], [3000, 40000]], np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    how |= {"value_range": [1000, 5000], "mode": "L", "height": 2, "width": 2}
    prepared = script["prepare"](tmp_path / "deep.png", how)
    # (3000 - 1000) / 4000 * 255 = 127.5, to the even neighbour.
    np.testing.assert_array_equal(prepared[..., 0], [[0, 0], [128, 255]])
    how["value_range"] = None
    with pytest.raises(SystemExit, match=r"deep.png has more than 8 bits"):
        script["prepare"](tmp_path / "deep.png", how)


@pytest.mark.parametrize("keep", ["last", "first"])
def test_the_script_prepares_texts_as_training_does(runs, files, tmp_path, keep):
    script, how = script_of(package_of(runs["text"]), tmp_path)
    words = [
        "great",
        "dull",
        "film",
        "it's",
        "don't",
        "film's",
        "rock'n'roll",
        "\u00e9t\u00e9",
        "!",
    ]
    encoder = TextEncoder(words, 100, 30, keep)
    how |= {"keep": keep, "max_tokens": 30}
    ids = {word: index for index, word in enumerate(words, how["first_word"])}
    expected = encoder.encode(list(TEXTS.values()))
    found = [script["prepare"](file, how, ids) for file in files["text"]]
    np.testing.assert_array_equal(found, expected)
    assert len({tuple(row) for row in found}) == len(TEXTS)


def test_patterns_come_from_the_vocabulary_that_names_them(runs, tmp_path):
    held = read_json(runs["text"].path("vocabulary.json"))
    path = tmp_path / "vocabulary.json"
    write_json_atomic(path, {**held, "patterns": {"tag": "x", "word": "y"}})
    assert export_package._text_preparation(path)["patterns"] == {"tag": "x", "word": "y"}
    held.pop("patterns", None)
    write_json_atomic(path, held)
    assert set(export_package._text_preparation(path)["patterns"]) == {"tag", "word"}


def export_and_compare(runs, files, kind, format, folder, capsys):
    """Exports, and checks that predict.py alone answers as `recipes predict` does."""
    if not exporting._backends(format, "tensorflow")[0]:
        pytest.skip(f"{format} export needs packages that are not installed")
    run, output = runs[kind], folder / exporting._DEFAULT_NAMES[format]
    words = ["export", run.directory, "--format", format, "--output", output]
    assert main([str(word) for word in words]) == 0
    assert f"predict.py {output} FILE..." in capsys.readouterr().out
    names = [str(file) for file in files[kind]]
    assert main(["predict", str(run.directory), *names, "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    found = answers_alone(output, names)
    assert [row["file"] for row in found] == [row["file"] for row in expected] == names
    for one, other in zip(found, expected, strict=True):
        assert one["class"] == other["class"]
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5), one["file"]
    return output, found


def answers_alone(output, names):
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, "predict.py", output.name, *names],
        cwd=output.parent,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def differ(found, other):
    return max(
        abs(one["probabilities"][name] - two["probabilities"][name])
        for one, two in zip(found, other, strict=True)
        for name in one["probabilities"]
    )


def test_an_image_export_stands_alone(runs, files, tmp_path, capsys, in_process):
    output, found = export_and_compare(runs, files, "image", "onnx", tmp_path, capsys)
    import onnxruntime

    session = onnxruntime.InferenceSession(output)
    assert [value.name for value in session.get_inputs()] == ["image"]
    assert [value.name for value in session.get_outputs()] == ["probabilities"]
    held = session.get_modelmeta().custom_metadata_map
    assert held == {"labels.json": (tmp_path / "labels.json").read_text()}
    labels = json.loads(held["labels.json"])
    assert labels["classes"] == runs["image"].data_info()["class_names"]
    assert labels["input"] == {"name": "image", "shape": [None, 32, 32, 3], "dtype": "uint8"}
    assert labels["prepare"]["value_range"] == VALUE_RANGE
    # This test would see another filter.
    labels["prepare"]["filter"] = "NEAREST"
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    assert differ(found, answers_alone(output, [str(file) for file in files["image"]])) > 1e-3


def test_a_text_export_stands_alone(runs, files, tmp_path, capsys, in_process):
    output, found = export_and_compare(runs, files, "text", "onnx", tmp_path, capsys)
    import onnxruntime

    session = onnxruntime.InferenceSession(output)
    assert [value.name for value in session.get_inputs()] == ["tokens"]
    assert [value.name for value in session.get_outputs()] == ["probability"]
    held = session.get_modelmeta().custom_metadata_map
    for name in ("labels.json", "vocabulary.json"):
        assert held[name] == (tmp_path / name).read_text(encoding="utf-8")
    # This test would see another tokeniser.
    labels = json.loads(held["labels.json"])
    labels["prepare"]["patterns"]["word"] = r"\S+"
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    assert differ(found, answers_alone(output, [str(file) for file in files["text"]])) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["image", "text"])
@pytest.mark.parametrize("format", ["litert", "savedmodel", "keras"])
def test_other_formats_stand_alone(runs, files, tmp_path, capsys, kind, format):
    output, _ = export_and_compare(runs, files, kind, format, tmp_path, capsys)
    names = ["labels.json", *(["vocabulary.json"] if kind == "text" else [])]
    for name in names:
        text = (tmp_path / name).read_text(encoding="utf-8")
        if format == "savedmodel":
            assert (output / "assets.extra" / name).read_text(encoding="utf-8") == text
        else:
            with zipfile.ZipFile(output) as archive:
                assert archive.read(name).decode("utf-8") == text
                assert format == "keras" or sorted(archive.namelist()) == names


def texts(classes, script="1"):
    return {
        "labels.json": json.dumps({"classes": classes, "prepare": {}}),
        "predict.py": f"# images with an exported model: python predict.py MODEL FILE...\n{script}",
    }


def test_exports_of_one_model_share_what_lies_beside_them(tmp_path):
    package = Package(texts(["a", "b"]), tmp_path / "run")
    (tmp_path / "run").mkdir()
    output = tmp_path / "model.onnx"
    package.check(output, overwrite=False)
    assert package.write(output) == (tmp_path / "labels.json", tmp_path / "predict.py")
    output.touch()
    # Another format; then with the script of another version of this project.
    package.check(tmp_path / "model.tflite", overwrite=False)
    newer = Package(texts(["a", "b"], script="2"), tmp_path / "run")
    newer.check(tmp_path / "model.tflite", overwrite=False)
    newer.write(tmp_path / "model.tflite")
    assert (tmp_path / "predict.py").read_text().endswith("2")


def test_formats_in_one_folder_have_scripts_of_their_own(runs, tmp_path):
    def beside(format, name):
        package = package_of(runs["image"], format)
        package.check(tmp_path / name, overwrite=False)
        paths = package.write(tmp_path / name)
        (tmp_path / name).touch()
        return [path.name for path in paths]

    assert beside("onnx", "a.onnx") == ["labels.json", "predict.py"]
    # A second file of the format shares the script, a second format leaves it as it is.
    assert beside("onnx", "b.onnx") == ["labels.json", "predict.py"]
    assert beside("litert", "c.tflite") == ["labels.json", "predict_litert.py"]
    first, second = ((tmp_path / name).read_text() for name in ("predict.py", "predict_litert.py"))
    assert "onnxruntime" in first
    assert "onnxruntime" not in second
    assert second.startswith(
        '"""Classifies images with an exported LiteRT model: python predict_litert.py MODEL'
    )
    # Again: each is known as its own.
    assert beside("onnx", "a.onnx") == ["labels.json", "predict.py"]
    assert beside("litert", "c.tflite") == ["labels.json", "predict_litert.py"]
    # Nothing relies on the script of a format whose files are gone.
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).unlink()
    assert beside("litert", "c.tflite") == ["labels.json", "predict.py"]


def test_a_script_of_all_formats_serves_the_exports_of_then(runs, tmp_path):
    """An older version of this project wrote one that runs any of them."""
    old = '"""Classifies images with an exported model: python predict.py MODEL FILE...'
    (tmp_path / "predict.py").write_text(old)
    (tmp_path / "m.tflite").touch()
    package = package_of(runs["image"], "onnx")
    package.check(tmp_path / "m.onnx", overwrite=False)
    assert tmp_path / "predict_onnx.py" in package.write(tmp_path / "m.onnx")
    assert (tmp_path / "predict.py").read_text() == old
    (tmp_path / "predict_onnx.py").write_text("mine")
    with pytest.raises(UsageError, match=r"predict_onnx\.py was not written by an export"):
        package.check(tmp_path / "m.onnx", overwrite=True)


@pytest.mark.parametrize("kind", ["image", "text"])
@pytest.mark.parametrize("format", exporting.FORMATS)
def test_a_script_is_short_and_of_its_format_alone(runs, kind, format):
    script = package_of(runs[kind], format).texts["predict.py"]
    compile(script, "predict.py", "exec")
    # LiteRT has two packages, of which either will do.
    assert len(script.splitlines()) <= (55 if format == "litert" else 50)
    assert max(map(len, script.splitlines())) <= 100
    modules = {
        "onnx": "onnxruntime",
        "savedmodel": "saved_model",
        "litert": "ai_edge_litert",
        "keras": "keras.saving",
    }
    assert [name for name, module in modules.items() if module in script] == [format]


def test_the_export_of_another_model_keeps_its_labels(tmp_path):
    home = tmp_path / "run"
    home.mkdir()
    Package(texts(["a", "b"]), home).write(tmp_path / "model.onnx")
    (tmp_path / "model.onnx").touch()
    other = Package(texts(["c", "d"]), home)
    for overwrite in (False, True):
        with pytest.raises(UsageError, match=r"another model, which model\.onnx there relies on"):
            other.check(tmp_path / "model.tflite", overwrite)
    # Where it is replaced itself, nothing else relies on them.
    with pytest.raises(UsageError, match="--overwrite to replace it"):
        other.check(tmp_path / "model.onnx", overwrite=False)
    other.check(tmp_path / "model.onnx", overwrite=True)
    # In its own run folder they are of an older version of this project.
    Package(texts(["a", "b"]), home).write(home / "model.onnx")
    (home / "model.onnx").touch()
    other.check(home / "model.tflite", overwrite=False)


def test_a_file_of_the_user_is_never_replaced(tmp_path):
    package = Package(texts(["a", "b"]), tmp_path)
    for name in package.texts:
        (tmp_path / name).write_text("mine")
        with pytest.raises(UsageError, match=rf"{name} was not written by an export"):
            package.check(tmp_path / "model.onnx", overwrite=True)
        (tmp_path / name).unlink()
    (tmp_path / "labels.json").mkdir()
    with pytest.raises(RecipeError, match="cannot read"):
        package.check(tmp_path / "model.onnx", overwrite=True)
