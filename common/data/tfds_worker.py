"""Decodes and downloads data sets with TFDS; `full.py` runs it in a process of its own.

No other module imports TFDS.

python -m common.data.tfds_worker decode FOLDER OUT KIND [FORM]
python -m common.data.tfds_worker download NAME DATA_DIR
"""

import errno
import hashlib
import io
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from common.data import cache

BATCH = 1000
TEST_SEED = 0
"""Of the test split that is cut off a set without one: never to be changed."""

NO_SPACE = 3
"""Exit code for a full disk, so that the message does not blame the data."""


def decode(folder: str, out: str, kind: str, form: str = "{}") -> None:
    """Decodes the train and test splits of a prepared data set to .npy files.

    Args:
        folder: A TFDS version folder.
        out: Folder to write the arrays and `decoded.json` to.
        kind: `"image"`, `"text"` or `"audio"`.
        form: JSON of a dict: `size` and `test_fraction` of a set without a test split; `splits`, the
            names of the splits that are read as train and test; else empty.

    Raises:
        ValueError: A feature is absent, or a split has not the number of examples it claims.
    """
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    builder = tfds.builder_from_directory(folder)
    absent = {kind, "label"} - set(builder.info.features)
    if absent:
        raise ValueError(
            f"it has no feature '{min(absent)}', which recipes read (it has: "
            f"{', '.join(sorted(builder.info.features))})"
        )
    target = Path(out)
    meta = {"kind": kind, "class_names": list(builder.info.features["label"].names)}
    if kind == "audio":
        _decode_clips(builder, tfds, target)
        (target / "decoded.json").write_text(json.dumps(meta), encoding="utf-8")
        return
    wanted = json.loads(form)
    names = wanted.get("splits", ("train", "test"))
    if kind == "image":
        meta.update(_encoding(builder, tfds, names[0]))
    if "size" in wanted:
        meta.update(_photos(builder, tfds, target, **wanted), form=wanted)
        (target / "decoded.json").write_text(json.dumps(meta), encoding="utf-8")
        return
    if wanted:
        meta.update(form=wanted)
    for split, name in zip(("train", "test"), names, strict=True):
        count = builder.info.splits[name].num_examples
        batches = tfds.as_numpy(builder.as_dataset(split=name, batch_size=BATCH))
        # In memory first: writing a memory map to a full disk would crash instead of raising an error.
        shape = (count, *builder.info.features["image"].shape) if kind == "image" else count
        x = np.empty(shape, np.uint8 if kind == "image" else object)
        y = np.empty(count, np.int32)
        start = 0
        for batch in batches:
            stop = start + len(batch["label"])
            x[start:stop] = batch[kind]
            y[start:stop] = batch["label"]
            start = stop
        if start != count:
            raise ValueError(f"{name} holds {start} examples, dataset_info.json says {count}")
        cache.write_split(target, split, x, y)
    (target / "decoded.json").write_text(json.dumps(meta), encoding="utf-8")


def _decode_clips(builder, tfds, out):
    """Writes the clips of the train split, each of its own length, with the names of their files."""
    clips, labels, names = [], [], []
    for row in tfds.as_numpy(builder.as_dataset(split="train")):
        # TFDS returns 16-bit samples as int64.
        if np.abs(row["audio"]).max(initial=0) > 2**15:
            raise ValueError("it holds samples of more than 16 bits")
        clips.append(np.clip(row["audio"], -(2**15), 2**15 - 1).astype(np.int16))
        labels.append(row["label"])
        names.append(row["audio/filename"])
    cache.write_clips(out, "train", clips, labels, names)
    cache.write_clips(out, "test", [], [], [])


def _photos(builder, tfds, out, size, test_fraction):
    """Decodes photographs of any size, and cuts a test split off that is the same ever after.

    Pillow decodes and resizes them, as it does the user's own. Copies, equal files, stay on one side of
    the cut. It rests on the order of the files and on their labels, not on the size.

    Args:
        size: `[height, width]` to resize to.
        test_fraction: Share to cut off, stratified, in (0, 1).

    Returns:
        Dict for meta.json: `one_size`, the `[height, width]` that all photos have, or None.
    """
    from PIL import Image

    from common.data.split import stratified_cut

    dataset = builder.as_dataset(split="train", decoders={"image": tfds.decode.SkipDecoding()})
    count = builder.info.splits["train"].num_examples
    height, width = size
    x, y = np.empty((count, height, width, 3), np.uint8), np.empty(count, np.int32)
    copies, groups, sizes = {}, np.empty(count, np.int64), set()
    row = 0
    for row, example in enumerate(tfds.as_numpy(dataset), 1):
        encoded = example["image"]
        picture = Image.open(io.BytesIO(encoded)).convert("RGB")
        sizes.add((picture.height, picture.width))
        x[row - 1] = picture.resize((width, height), Image.Resampling.BILINEAR)
        y[row - 1] = example["label"]
        groups[row - 1] = copies.setdefault(hashlib.sha256(encoded).digest(), row)
    if row != count:
        raise ValueError(f"train holds {row} examples, dataset_info.json says {count}")
    for split, rows in zip(
        ("train", "test"), stratified_cut(y, test_fraction, TEST_SEED, groups), strict=True
    ):
        cache.write_split(out, split, x[rows], y[rows])
    return {"one_size": list(sizes.pop()) if len(sizes) == 1 else None}


def _encoding(builder, tfds, split):
    """Returns how the images are stored, found in the bytes of the first image.

    `features.json` does not tell it: TFDS decodes PNG and JPEG alike.
    """
    dataset = builder.as_dataset(
        split=f"{split}[:1]", decoders={"image": tfds.decode.SkipDecoding()}
    )
    encoded = next(iter(tfds.as_numpy(dataset)))["image"]
    if not encoded.startswith(b"\xff\xd8\xff"):
        return {"encoding": "png" if encoded.startswith(b"\x89PNG") else "other"}
    from PIL import Image, JpegImagePlugin

    picture = Image.open(io.BytesIO(encoded))
    details = []
    for quality in range(1, 101):
        candidate = io.BytesIO()
        Image.new(picture.mode, (16, 16)).save(candidate, "JPEG", quality=quality)
        if Image.open(candidate).quantization == picture.quantization:
            details.append(f"quality {quality}")
            break
    sampling = JpegImagePlugin.get_sampling(picture)
    details += [name for code, name in enumerate(["4:4:4", "4:2:2", "4:2:0"]) if code == sampling]
    return {"encoding": "jpeg", "encoding_detail": ", ".join(details) or "quality unknown"}


def download(name: str, data_dir: str) -> None:
    """Downloads and prepares a data set with TFDS; shows its progress."""
    import tensorflow_datasets as tfds

    tfds.builder(name, data_dir=data_dir).download_and_prepare()


def main(arguments: Sequence[str]) -> int:
    """Runs `decode` or `download`, and returns the exit code.

    An error is printed as one line on standard output, which `full.py` reads.
    """
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        commands: dict[str, Callable[..., None]] = {"decode": decode, "download": download}
        commands[arguments[0]](*arguments[1:])
    except OSError as error:
        print(f"error: {error}", flush=True)
        # NumPy reports a short write without a number: "1000 requested and 10 written".
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return NO_SPACE if full or str(error).endswith(" written") else 1
    except Exception as error:  # TFDS raises many kinds of errors; the caller needs one line.
        reason = " ".join(str(error).split())[:500] or type(error).__name__
        print(f"error: {reason}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
