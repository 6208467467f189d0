"""What is this recipe's own: whom it is tested on, its frames, its networks of equal size."""

import json
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest

from common.basics.errors import RecipeError
from common.basics.files import read_json
from common.cli import main
from common.data import Source
from common.export import conversion
from common.training.finish import parameter_count
from recipes.spoken_digit_rnn import studies
from recipes.spoken_digit_rnn.model import LogMel, build_model, normalised
from recipes.spoken_digit_rnn.speakers import hold_out
from recipes.spoken_digit_rnn.train import BEST, Config, load_data
from tests.helpers import train_tiny

NAMES = [
    f"{word}_{person}_{take}.wav"
    for word in range(3)
    for person in ("theo", "anna", "jo_ann")
    for take in range(8)
]
PEOPLE = np.array([name[2:].rsplit("_", 1)[0] for name in NAMES])


@pytest.mark.parametrize(
    ("seed", "held_out", "person"),
    [(0, None, "anna"), (1, None, "jo_ann"), (5, None, "theo"), (1, 2, "theo")],
)
def test_one_person_is_held_out(seed, held_out, person):
    held, groups = hold_out(Config(seed=seed, held_out=held_out), NAMES)
    np.testing.assert_array_equal(held, person == PEOPLE)
    assert groups is None
    _, groups = hold_out(Config(validate_on="speaker"), NAMES)
    assert len(set(zip(groups.tolist(), PEOPLE, strict=True))) == 3


def test_the_published_split_holds_the_first_takes_out():
    held, _ = hold_out(Config(split="take"), NAMES)
    assert held.sum() == 3 * 3 * 5
    assert {name[-5] for name, out in zip(NAMES, held, strict=True) if out} == set("01234")


def test_other_names_and_people_are_refused():
    with pytest.raises(RecipeError, match=r"got three\.wav"):
        hold_out(Config(), [*NAMES, "three.wav"])
    with pytest.raises(RecipeError, match=r"held_out must be 0 to 2 \(anna, jo_ann, theo\), got 3"):
        hold_out(Config(held_out=3), NAMES)


def test_nobody_is_heard_on_both_sides():
    config = Config(seed=3, validate_on="speaker", validation_fraction=0.25)
    splits = load_data(config, Source("sample"))
    clips = [
        {wave.tobytes() for wave in part.x} for part in (splits.train, splits.val, splits.test)
    ]
    # Five voices of eighty clips.
    assert [len(part) for part in clips] == [240, 80, 80]
    assert len(set(splits.train.groups)) == 3
    assert len({*splits.train.groups, *splits.val.groups, *splits.test.groups}) == 5


@pytest.mark.parametrize("hertz", [250, 1000, 3000])
def test_the_frames_of_a_tone_peak_in_its_band(hertz):
    tone = np.sin(2 * np.pi * hertz * np.arange(8000) / 8000).astype("float32")
    frames = keras.ops.convert_to_numpy(LogMel(40, 128)(tone[None]))
    assert frames.shape == (1, 61, 40)

    def mel(f):
        return 2595 * np.log10(1 + f / 700)

    # Centres of triangles that are equally wide on the mel scale.
    centres = np.linspace(mel(60), mel(4000), 42)[1:-1]
    assert set(frames[0].argmax(axis=1)) == {int(np.abs(centres - mel(hertz)).argmin())}


def test_frames_depend_neither_on_the_gain_nor_on_other_clips():
    waves = np.random.default_rng(0).normal(0, 0.1, (3, 8000)).astype("float32")
    waves[1] *= 0.01
    layer = LogMel(20, 200)
    frames = keras.ops.convert_to_numpy(layer(waves))
    np.testing.assert_allclose(frames, keras.ops.convert_to_numpy(layer(waves / 4)), atol=1e-4)
    alone = keras.ops.convert_to_numpy(layer(waves[:1]))
    np.testing.assert_allclose(frames[:1], alone, atol=1e-4)
    assert np.isfinite(keras.ops.convert_to_numpy(layer(np.zeros((1, 8000), "float32")))).all()


def test_the_mean_of_the_voiced_frames_is_taken_off():
    frames = np.array([[[1.0, 9.0], [3.0, 11.0], [0.0, 0.5]]], "float32")
    # The last frame lies more than six nats below the loudest.
    found = keras.ops.convert_to_numpy(normalised(keras.ops.array(frames)))
    np.testing.assert_allclose(found, [[[-1, -1], [1, 1], [-2, -9.5]]])


def test_a_saved_model_answers_alike(tmp_path):
    model = build_model(replace(BEST, units=4), 3)
    waves = np.random.default_rng(0).normal(0, 0.1, (2, 8000)).astype("float32")
    model.save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras")
    np.testing.assert_allclose(
        *(keras.ops.convert_to_numpy(each(waves)) for each in (model, again)), atol=1e-6
    )


def test_the_transform_is_not_trained():
    model = build_model(Config(units=4, layers=1, cell="rnn"), 3)
    # A recurrent layer (40 + 4 + 1) x 4 and the output (4 + 1) x 3.
    assert parameter_count(model) == 180 + 15


def test_last_of_both_directions_is_what_each_read_last():
    model = build_model(replace(BEST, units=3, layers=1, pooling="last"), 2)
    layer = next(each for each in model.layers if isinstance(each, keras.layers.Bidirectional))
    states = keras.Model(model.input, [layer.output, model.layers[-2].input])
    waves = np.random.default_rng(0).normal(0, 0.1, (2, 8000)).astype("float32")
    sequence, last = (keras.ops.convert_to_numpy(each) for each in states(waves))
    expected = np.concatenate([sequence[:, -1, :3], sequence[:, 0, 3:]], axis=1)
    np.testing.assert_allclose(last, expected)


def test_cells_are_compared_at_equal_parameters():
    study = studies.STUDIES["cells"]
    counts = [parameter_count(build_model(replace(BEST, **arm))) for arm in study.arms.values()]
    assert max(counts) < 1.02 * min(counts)


@pytest.fixture(scope="module")
def run(tiny_data, tmp_path_factory):
    """A run on a folder of WAV files, and the folder."""
    directory = tmp_path_factory.mktemp("spoken") / "run"
    return train_tiny("spoken_digit_rnn", tiny_data["audio"], directory, epochs=1, units=8)[0]


def test_files_are_answered_and_what_is_no_wav_is_named(run, tiny_data, tmp_path, capsys):
    folder = tiny_data["audio"] / "low"
    assert main(["predict", str(run.directory), str(folder)]) == 0
    answers = dict(line.split(": ", 1) for line in capsys.readouterr().out.strip().splitlines())
    assert set(answers) == {path.name for path in folder.iterdir()}
    one = sorted(folder.iterdir())[0]
    (tmp_path / "b.wav").write_bytes(b"x")
    names = [str(one), str(tmp_path / "b.wav")]
    assert main(["predict", str(run.directory), *names]) == 1
    printed = capsys.readouterr()
    assert answers[one.name] in printed.out
    assert "b.wav: no answer" in printed.out
    assert "cannot read the sound file" in printed.err
    table = folder.parent / "a.csv"
    table.write_text(f"path\n{folder.name}/{one.name}\n{one.stem}\n")
    assert main(["predict", str(run.directory), str(table)]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split(": ", 1)[1] for line in lines] == [answers[one.name]] * 2


def test_other_data_of_the_same_classes_is_scored(run, tiny_data, capsys):
    assert main(["evaluate", str(run.directory), "--data", str(tiny_data["audio"])]) == 0
    assert "test        accuracy" in capsys.readouterr().out


def test_the_report_draws_mistakes_and_there_is_no_explanation(run, tiny_data, capsys):
    assert main(["report", str(run.directory)]) == 0
    page = run.path("report.html").read_text(encoding="utf-8")
    assert "What is taken for what" in page
    one = next((tiny_data["audio"] / "low").iterdir())
    assert main(["explain", str(run.directory), str(one)]) == 1
    assert "has no explanation of its answers" in capsys.readouterr().err


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the converter's backend")
def test_an_export_takes_the_waveform(run, capsys):
    assert main(["export", str(run.directory), "--format", "savedmodel"]) == 0
    labels = read_json(run.path("labels.json"))
    assert labels["classes"] == ["high", "low", "middle"]
    assert labels["input"] == {"name": "waveform", "shape": [None, 8000], "dtype": "float32"}
    assert labels["prepare"]["rate"] == 8000


def test_an_export_answers_alone(run, tiny_data, tmp_path, capsys):
    if not conversion._backends("onnx", "tensorflow")[0]:
        pytest.skip("onnx export needs packages that are not installed")
    output = tmp_path / "model.onnx"
    assert main(["export", str(run.directory), "--format", "onnx", "--output", str(output)]) == 0
    files = sorted(str(file) for file in (tiny_data["audio"] / "high").iterdir())[:5]
    done = subprocess.run(
        [sys.executable, "-I", "predict.py", output.name, *files],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    capsys.readouterr()
    assert main(["predict", str(run.directory), *files, "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for one, other in zip(found, expected, strict=True):
        assert (one["file"], one["class"]) == (other["file"], other["class"])
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-4)
    (tmp_path / "bad.wav").write_bytes(b"broken")
    for name in ("bad.wav", "gone.wav"):
        done = subprocess.run(
            [sys.executable, "-I", "predict.py", output.name, name],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: {name}: ")


@pytest.mark.real_data
def test_the_real_set_has_five_people_of_500_clips():
    parts = [load_data(Config(seed=seed), Source("full")) for seed in range(5)]
    assert [part.info.counts["test"] for part in parts] == [500] * 5
    heard = {wave.tobytes() for part in parts for wave in part.test.x}
    assert len(heard) > 2450
    for part in parts:
        tested = {wave.tobytes() for wave in part.test.x}
        assert not tested & {wave.tobytes() for wave in part.train.x}
        assert np.bincount(part.test.y).tolist() == [50] * 10
    assert load_data(Config(split="take"), Source("full")).info.counts["test"] == 250
