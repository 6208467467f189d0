"""Sound: WAV files of every width, clips of one length, own folders and CSVs, held-out people."""

import io
import runpy
import struct

import numpy as np
import pytest

from common.basics.errors import RecipeError, UsageError
from common.data import AudioSet, Reading, Source, load_audio
from common.data.audio import fitted, picture, read_wave
from common.data.augment_audio import random_noise, random_speed
from common.export import package as export_package

DIGITS = AudioSet("spoken_digit", "Digits", rate=8000, seconds=1.0, sample="syllables")
VALUES = [0.0, 0.5, -0.5, 0.25, -1.0]


def wav(path, frames, *, bits, channels=1, rate=8000, code=1):
    """Writes a WAV file by hand: `frames` are the bytes of all samples, little-endian."""
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", code, channels, rate, rate * block, block, bits)
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(frames)) + frames
    path.write_bytes(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
    return path


def pcm(values, bits):
    """Returns values in [-1, 1] as the bytes of whole numbers."""
    if bits == 8:
        return bytes(round(value * 128) + 128 for value in values)
    whole = (min(round(value * 2 ** (bits - 1)), 2 ** (bits - 1) - 1) for value in values)
    return b"".join(number.to_bytes(bits // 8, "little", signed=True) for number in whole)


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_whole_numbers_of_every_width_are_read(bits, tmp_path):
    path = wav(tmp_path / "a.wav", pcm(VALUES, bits), bits=bits)
    np.testing.assert_allclose(read_wave(path, 8000, 5), VALUES, atol=1e-7)


@pytest.mark.parametrize(("bits", "kind"), [(32, "<f4"), (64, "<f8")])
def test_floating_point_is_read(bits, kind, tmp_path):
    path = wav(tmp_path / "a.wav", np.array(VALUES, kind).tobytes(), bits=bits, code=3)
    found = read_wave(path, 8000, 5)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, VALUES)


def test_channels_are_averaged(tmp_path):
    both = [0.5, 0.0, 0.25, -0.25, -1.0, -0.5]
    path = wav(tmp_path / "a.wav", pcm(both, 16), bits=16, channels=2)
    np.testing.assert_allclose(read_wave(path, 8000, 3), [0.25, 0.0, -0.75])


def test_another_rate_is_resampled_to_the_same_tone(tmp_path):
    time = np.arange(22050) / 22050
    wave = 0.5 * np.sin(2 * np.pi * 440 * time)
    path = wav(tmp_path / "a.wav", pcm(wave, 16), bits=16, rate=22050)
    found = read_wave(path, 8000, 8000)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    # The filter has nothing to go on at the ends.
    np.testing.assert_allclose(found[200:-200], expected[200:-200], atol=2e-3)
    # What is above half the new rate must not come back as another tone.
    high = wav(
        tmp_path / "b.wav", pcm(0.5 * np.sin(2 * np.pi * 6000 * time), 16), bits=16, rate=22050
    )
    assert np.abs(read_wave(high, 8000, 8000)[200:-200]).max() < 0.02


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot read the sound file"),
        (b"ID3 and music", "not a WAV file with PCM"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "cannot read the sound file"),
    ],
)
def test_what_is_no_wav_is_named(content, words, tmp_path):
    path = tmp_path / "broken.wav"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=words) as caught:
        read_wave(path, 8000, 8000)
    assert "broken.wav" in str(caught.value)


def test_files_without_usable_samples_are_refused(tmp_path):
    with pytest.raises(RecipeError, match="holds no samples"):
        read_wave(wav(tmp_path / "a.wav", b"", bits=16), 8000, 8000)
    bad = np.array([0.0, np.nan], "<f4").tobytes()
    with pytest.raises(RecipeError, match="NaN or infinite"):
        read_wave(wav(tmp_path / "b.wav", bad, bits=32, code=3), 8000, 8000)
    with pytest.raises(RecipeError, match="lasts 601 s"):
        read_wave(wav(tmp_path / "c.wav", bytes(601), bits=8, rate=1), 8000, 8000)
    with pytest.raises(RecipeError, match="no sound file at"):
        read_wave(tmp_path / "absent.wav", 8000, 8000)


def test_a_file_object_is_read(tmp_path):
    path = wav(tmp_path / "a.wav", pcm(VALUES, 16), bits=16)
    found = read_wave(io.BytesIO(path.read_bytes()), 8000, 5)
    np.testing.assert_array_equal(found, read_wave(path, 8000, 5))


def test_clips_are_padded_on_both_sides_and_cut_to_the_loudest_part():
    np.testing.assert_array_equal(fitted(np.array([0.5, 1.0]), 5), [0, 0.5, 1, 0, 0])
    np.testing.assert_array_equal(fitted(np.array([16384], np.int16), 2), [0.5, 0])
    np.testing.assert_allclose(fitted(np.array([0.1, 0.9, 0.2, 0.8, 0.1]), 3), [0.9, 0.2, 0.8])
    assert fitted(np.arange(4.0), 4).dtype == np.float32


def test_the_picture_of_a_tone_is_a_line_at_its_frequency():
    tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)
    image = picture(tone.astype("float32"), height=40)
    assert image.dtype == np.uint8
    assert image.shape[0] == 40
    # 4,000 Hz at the top, 0 at the bottom: 1,000 Hz is a quarter of the way up.
    assert abs(int(image.mean(axis=1).argmax()) - 29) <= 1


@pytest.mark.parametrize("augment", [(random_speed, (0.2, 800)), (random_noise, (0.1,))])
def test_augmentation_keeps_the_form_and_follows_from_the_generator(augment):
    function, how = augment
    waves = np.random.default_rng(0).normal(0, 0.1, (5, 999)).astype("float32")
    before = waves.copy()
    first, second, other = (function(waves, np.random.default_rng(s), *how) for s in (1, 1, 2))
    assert first.shape == waves.shape
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, waves)
    np.testing.assert_array_equal(waves, before)


class Fixed:
    """A generator whose uniform numbers lie at a given share of the range."""

    def __init__(self, share):
        self.share = share

    def uniform(self, low, high, size):
        return np.full(size, low + self.share * (high - low))


def test_speed_and_shift_do_what_they_say():
    wave = np.zeros((1, 9), "float32")
    wave[0, 6] = 1.0
    # Two samples from the middle; twice as fast, one.
    np.testing.assert_allclose(random_speed(wave, Fixed(1), speed=1.0)[0], np.eye(9)[5], atol=1e-6)
    # Half as fast: four, and its neighbours get half of it.
    slow = random_speed(wave, Fixed(0), speed=1.0)[0]
    np.testing.assert_allclose(slow, [0, 0, 0, 0, 0, 0, 0, 0.5, 1.0], atol=1e-6)
    np.testing.assert_allclose(random_speed(wave, Fixed(1), shift=2)[0], np.eye(9)[8], atol=1e-6)
    np.testing.assert_allclose(random_speed(wave, Fixed(0.5))[0], wave[0], atol=1e-6)


def test_noise_is_as_loud_as_asked_for():
    wave = np.zeros((400, 500), "float32")
    wave[:, 0] = 0.5
    level = random_noise(wave, np.random.default_rng(0), 0.1)[:, 1:].std(axis=1) / 0.5
    assert 0.0009 < level.min() < 0.0013
    assert 0.09 < level.max() < 0.11
    # The logarithm is uniform: half of the clips lie below the geometric mean.
    assert 0.4 < np.mean(level < 0.01) < 0.6


def two_people(names):
    return np.array(["amber" in name for name in names]), None


def test_the_sample_is_split_by_the_names_of_its_files():
    splits = load_audio(DIGITS, Source("sample"), hold_out=two_people, validation_fraction=0.25)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (240, 80, 80)
    assert splits.train.x.shape == (240, 8000)
    assert splits.train.x.dtype == np.float32
    assert np.abs(splits.train.x).max() <= 1
    assert splits.info.kind == "audio"
    assert splits.info.label.startswith("SAMPLE DATA")
    assert splits.info.reading == {"rate": 8000}
    assert splits.info.counts == {"train": 240, "validation": 80, "test": 80}


def test_validation_takes_whole_groups():
    seen = {}

    def by_person(names):
        people = np.array([name.split("_")[1] for name in names])
        seen["people"] = people
        return people == "dune", people

    splits = load_audio(DIGITS, Source("sample"), hold_out=by_person, validation_fraction=0.25)
    parts = [set(splits.train.groups), set(splits.val.groups), set(splits.test.groups)]
    assert [len(part) for part in parts] == [3, 1, 1]
    assert parts[2] == {"dune"}
    assert set.union(*parts) == set(seen["people"])


def words(root, rows, rate=8000, seconds=0.2):
    """Writes a WAV file of noise for each name of `rows` and returns the folder."""
    random = np.random.default_rng(len(rows))
    for name in rows:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        wav(path, pcm(random.uniform(-0.5, 0.5, int(seconds * rate)), 16), bits=16, rate=rate)
    return root


def own(path, **reading):
    return load_audio(
        DIGITS,
        Source(str(path), reading=Reading(**reading)),
        hold_out=None,
        validation_fraction=0.25,
    )


def test_a_folder_of_class_folders(tmp_path):
    root = words(
        tmp_path / "mine", [f"{word}/{n}.wav" for word in ("no", "yes") for n in range(10)]
    )
    (root / "no" / "readme.txt").write_text("by me")
    splits = own(root)
    assert splits.info.class_names == ("no", "yes")
    assert splits.info.kind == "audio"
    assert sum(splits.info.counts.values()) == 20
    assert any("skipped: 1 .txt" in line for line in splits.info.remarks)
    assert splits.train.x.shape[1:] == (8000,)


def test_train_and_test_folders(tmp_path):
    rows = [f"train/{word}/{n}.WAV" for word in ("no", "yes") for n in range(6)]
    splits = own(words(tmp_path / "mine", [*rows, "test/yes/0.wav"]))
    assert splits.info.counts["test"] == 1
    assert splits.test.y.tolist() == [1]


def test_people_in_subfolders_are_kept_whole(tmp_path):
    rows = [f"{w}/{p}/{n}.wav" for w in ("no", "yes") for p in "abcdef" for n in range(4)]
    splits = own(words(tmp_path / "mine", rows), group_folders=True)
    parts = [set(part.groups.tolist()) for part in (splits.train, splits.val, splits.test)]
    assert all(parts)
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


def test_a_csv_of_paths_and_labels(tmp_path):
    rows = [f"clips/{n}.wav" for n in range(16)]
    words(tmp_path, rows)
    lines = [f"{name},{'yes' if n % 2 else 'no'},{n // 4}" for n, name in enumerate(rows)]
    table = tmp_path / "mine.csv"
    table.write_text("\n".join(["path,label,person", *lines]) + "\n")
    splits = own(table)
    assert sum(splits.info.counts.values()) == 16
    together = own(table, group_column="person")
    assert not set(together.train.groups.tolist()) & set(together.test.groups.tolist())
    gone = [f"gone{n}.wav,no" for n in range(2)]
    table.write_text("\n".join(["path,label", *(row[:-2] for row in lines), *gone]))
    with pytest.raises(RecipeError, match="2 of 18 files are not there, .*gone0.wav"):
        own(table)
    table.write_text("\n".join(["path,label", *(row[:-2] for row in lines), gone[0]]))
    assert own(table).info.counts == splits.info.counts
    table.write_text("file,label\na.wav,no\n")
    with pytest.raises(
        RecipeError, match="expected columns path and label, column path is missing"
    ):
        own(table)


@pytest.mark.parametrize("others", ["mp3", "flac"])
def test_sound_that_is_no_wav_is_told(others, tmp_path):
    root = words(tmp_path / "mine", [f"{word}/{n}.wav" for word in ("no", "yes") for n in range(4)])
    for n in range(3):
        (root / "no" / f"{n}.{others}").write_bytes(b"x")
    with pytest.raises(RecipeError, match=rf"3 \.{others}.*convert them to WAV"):
        own(root)


def test_what_is_no_sound_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="this recipe reads sound: expected a folder"):
        own(tmp_path)
    root = words(tmp_path / "mine", [f"{word}/{n}.wav" for word in ("no", "yes") for n in range(4)])
    with pytest.raises(UsageError, match="--value-range is for images"):
        own(root, value_range=(0.0, 1.0))
    (root / "no" / "0.wav").write_bytes(b"broken")
    with pytest.raises(RecipeError, match=r"cannot read the sound file .*no/0\.wav"):
        own(root)


def test_declarations_that_make_no_clip_are_refused():
    with pytest.raises(UsageError, match="rate and seconds must make at least one sample"):
        AudioSet("a", "A", rate=8000, seconds=0.0, sample="syllables")
    with pytest.raises(UsageError, match="unknown audio sample 'digits'"):
        AudioSet("a", "A", rate=8000, seconds=1.0, sample="digits")


# The script of an export


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize(("channels", "rate"), [(1, 8000), (2, 44_100), (1, 11_025)])
@pytest.mark.parametrize("seconds", [0.3001, 1.7])
def test_the_script_reads_wav_files_as_training_does(tmp_path, bits, channels, rate, seconds):
    random = np.random.default_rng(bits + rate)
    values = random.uniform(-0.9, 0.9, int(seconds * rate) * channels)
    path = wav(tmp_path / "a.wav", pcm(values, bits), bits=bits, channels=channels, rate=rate)
    script = tmp_path / "predict.py"
    script.write_text(
        export_package._script("audio", "onnx", False).replace("import onnxruntime", "")
    )
    found = runpy.run_path(str(script))["prepare"](path, {"rate": 8000, "samples": 8000})
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, read_wave(path, 8000, 8000))


def test_the_script_reads_floating_point_as_training_does(tmp_path):
    values = np.random.default_rng(0).uniform(-1, 1, 8000)
    path = wav(tmp_path / "a.wav", values.astype("<f4").tobytes(), bits=32, code=3)
    script = tmp_path / "predict.py"
    script.write_text(
        export_package._script("audio", "onnx", False).replace("import onnxruntime", "")
    )
    found = runpy.run_path(str(script))["prepare"](path, {"rate": 8000, "samples": 8000})
    np.testing.assert_array_equal(found, read_wave(path, 8000, 8000))
