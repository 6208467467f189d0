"""The only module that imports TFDS: run by `full.py` in a process of its own.

python -m common.data.tfds_worker decode FOLDER OUT KIND [FORM]
python -m common.data.tfds_worker download NAME DATA_DIR
"""

import errno
import hashlib
import io
import json
import logging
import sys
from pathlib import Path

import numpy as np

from common.data import cache

BATCH = 1000
TEST_SEED = 0
"""Of the test split that is cut off a set without one: never to be changed."""

NO_SPACE = 3
"""Exit code for a disk that is full: the data is sound and must not be blamed."""


def decode(folder, out, kind, form="{}"):
    """Decodes the train and test splits of a prepared data set to .npy files.

    Args:
        folder: A TFDS version folder.
        out: Folder to write the arrays and `decoded.json` to.
        kind: `"image"` or `"text"`.
        form: JSON of a dict: `size` and `test_fraction` of a set without a test split, else empty.
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
    out = Path(out)
    meta = {"kind": kind, "class_names": list(builder.info.features["label"].names)}
    form = json.loads(form)
    if kind == "image":
        meta.update(_encoding(builder, tfds))
    if form:
        meta.update(_photos(builder, tfds, out, **form), form=form)
        (out / "decoded.json").write_text(json.dumps(meta), encoding="utf-8")
        return
    for split in ("train", "test"):
        count = builder.info.splits[split].num_examples
        batches = tfds.as_numpy(builder.as_dataset(split=split, batch_size=BATCH))
        # In memory first: a full disk then is an error, where a memory map would be a crash.
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
            raise ValueError(f"{split} holds {start} examples, dataset_info.json says {count}")
        cache.write_split(out, split, x, y)
    (out / "decoded.json").write_text(json.dumps(meta), encoding="utf-8")


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


def _encoding(builder, tfds):
    """Returns how the images are stored, looked up in the bytes of the first one.

    `features.json` does not say it: TFDS decodes PNG and JPEG alike.
    """
    dataset = builder.as_dataset(split="train[:1]", decoders={"image": tfds.decode.SkipDecoding()})
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


def download(name, data_dir):
    """Downloads and prepares a data set with TFDS; shows its progress."""
    import tensorflow_datasets as tfds

    tfds.builder(name, data_dir=data_dir).download_and_prepare()


def main(arguments):
    """Runs one of the two; an error is one line on standard output, which `full.py` reads."""
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        {"decode": decode, "download": download}[arguments[0]](*arguments[1:])
    except OSError as error:
        print(f"error: {error}", flush=True)
        # NumPy reports a short write without a number: "1000 requested and 10 written".
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return NO_SPACE if full or str(error).endswith(" written") else 1
    except Exception as error:  # TFDS raises many kinds; the caller needs one line.
        reason = " ".join(str(error).split())[:500] or type(error).__name__
        print(f"error: {reason}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
