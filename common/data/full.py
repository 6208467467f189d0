"""The real data sets that recipes declare, from TensorFlow Datasets (TFDS) through the array cache.

TFDS and TensorFlow run only once, in a process of their own (`tfds_worker.py`). So a JAX or PyTorch
run loads no TensorFlow, and TensorFlow cannot take the GPU's memory from it.
"""

import hashlib
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

from common.basics.errors import RecipeError
from common.basics.files import cache_folder
from common.data import cache
from common.data.sets import RealSet
from common.data.tfds_worker import NO_SPACE
from common.data.types import Dataset

CONNECT_SECONDS = 3
"""Limit of the check for a network. TFDS itself takes minutes to give up without one."""


def load(data_set: RealSet, data_dir: Path | None = None) -> Dataset:
    """Loads a real data set.

    Args:
        data_set: Declares it.
        data_dir: TFDS folder; None: TFDS_DATA_DIR, else ~/tensorflow_datasets.

    Raises:
        RecipeError: It is not on this machine and cannot be downloaded.
    """
    entry = prepare(data_set, data_dir)
    meta = entry.meta
    label, note = _copy(data_set, entry) if data_set.kind == "image" else (data_set.label, "")
    return Dataset(
        name=data_set.name,
        version=meta["version"].partition("-")[0],
        source="full",
        fingerprint=meta["fingerprint"],
        kind=data_set.kind,
        class_names=meta["class_names"],
        label=label,
        note=note,
        train=entry.split("train"),
        load_test=lambda: entry.split("test"),
        test_count=entry.count("test"),
        names=entry.names("train"),
    )


def _copy(data_set, entry):
    """Returns a label and a note that say whether the files are what was published."""
    meta, parts, notes = entry.meta, [], []
    count = entry.count("train") + entry.count("test")
    if data_set.published_count and count != data_set.published_count:
        of = f"{count:,} of {data_set.published_count:,}"
        parts.append(f"part ({of})")
        notes.append(f"The files hold a part of the set: {of} images.")
    if meta.get("encoding") == "jpeg" and data_set.published_as != "jpeg":
        parts.append("JPEG copy")
        notes.append(
            f"The images are re-encoded as JPEG ({meta['encoding_detail']}), not the lossless "
            "originals: figures are not comparable with those published for the lossless set."
        )
    elif meta.get("encoding") == "jpeg" and meta.get("one_size"):
        # Photographs differ in size as they were taken: these were resized and saved again.
        height, width = meta["one_size"]
        parts.append("JPEG twice")
        notes.append(
            f"The photos were resized to {width} x {height} pixels and encoded as JPEG once more "
            f"({meta['encoding_detail']})."
        )
    if notes and data_set.test_fraction:
        notes.append("Figures are not comparable with those of the published files.")
    return ", ".join([data_set.label, *parts]), " ".join(notes)


def prepare(data_set: RealSet, data_dir: Path | None = None) -> cache.Entry:
    """Returns the cache entry of a real data set; downloads and decodes it first if needed.

    Args and Raises: as for `load`.
    """
    name, form = data_set.name, _form(data_set)
    folder, named = _tfds_folder(data_dir)
    files = _find_files(data_set, folder)
    if files is None:
        # The cache alone is enough to train. But a folder that the user named must hold the data:
        # otherwise the run would use other files than asked for.
        entries = [] if named else [one for one in cache.find(name) if _has_form(one, form)]
        if len(entries) == 1:
            return entries[0]
        _download(data_set, folder, len(entries))
        files = _find_files(data_set, folder)
        if files is None:
            needed = " and ".join(f"a {split} split" for split in data_set.parts)
            raise RecipeError(
                f"TensorFlow Datasets left no complete {name} in {folder}: a recipe needs the files of "
                f"{needed}"
            )
    fingerprint = _fingerprint(files)

    def build(partial):
        started = time.perf_counter()
        print(f"decoding {data_set.label} from {files[0].parent}, once", file=sys.stderr)
        words = [json.dumps(form)] if form else []
        _run_worker(name, "decode", files[0].parent, partial, data_set.kind, *words)
        print(f"decoded in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        meta_file = partial / "decoded.json"
        meta = json.loads(meta_file.read_text(encoding="utf-8"))
        meta_file.unlink()
        return meta

    version = files[0].parent.name
    if "splits" in form:
        version += "-" + "-".join(form["splits"])
    elif form:
        version += "-{}x{}-{:g}".format(*form["size"], form["test_fraction"])
    return cache.get(name, version, fingerprint, build)


def _form(data_set):
    """Returns what the arrays depend on beside the files, a dict; it is empty of most sets.

    Sets without a test split are of photographs, whose sizes differ: they are resized as they are
    decoded. Other sets may name the two splits that are read.
    """
    splits = getattr(data_set, "splits", ("train", "test"))
    if splits != ("train", "test"):
        return {"splits": list(splits)}
    fraction = getattr(data_set, "test_fraction", 0)
    return {"size": list(data_set.image_size), "test_fraction": fraction} if fraction else {}


def _has_form(entry, form):
    return entry.meta.get("form", {}) == form


def _tfds_folder(data_dir):
    """Returns the TFDS folder, and whether the user named it."""
    named = data_dir or os.environ.get("TFDS_DATA_DIR")
    return Path(named or "~/tensorflow_datasets").expanduser(), bool(named)


def _find_files(data_set, folder):
    """Returns the files of the newest complete version, sorted by name; None if there is none."""
    name = data_set.name
    parent = folder / name / data_set.config
    versions = []
    if parent.is_dir():
        for path in parent.iterdir():
            if re.fullmatch(r"\d+\.\d+\.\d+", path.name):
                versions.append((tuple(map(int, path.name.split("."))), path))
    for _, path in sorted(versions, reverse=True):
        splits = [_shards(path, name, split) for split in data_set.parts]
        if all(splits) and (path / "dataset_info.json").is_file():
            described = [*path.glob("*.json"), *path.glob("*.labels.txt")]
            return sorted([*described, *(file for shards in splits for file in shards)])
    return None


def _shards(path, name, split):
    """Returns the files of a split, or an empty list when one is missing."""
    shards = sorted(path.glob(f"{name}-{split}.*-of-*"))
    if not shards or len(shards) != int(shards[0].name.rpartition("-of-")[2]):
        return []
    return shards


def _fingerprint(files):
    """Returns the SHA-256 over names and bytes, by which results name their data."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode("utf-8", "surrogateescape"))
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def _download(data_set, folder, cached):
    name = data_set.name
    advice = (
        "use `--data sample` (built in, no network), name the folder that holds it with "
        "`--data-dir` or TFDS_DATA_DIR, or run `make data` where there is a network"
    )
    absent = f"no prepared files of {name} in {folder}"
    if not folder.is_dir():
        absent += ", a folder that does not exist,"
    if cached:
        absent += f" and {cached} versions of it in the cache {cache_folder()}"
    missing = _missing_packages()
    if missing:
        raise RecipeError(
            f"{absent}, and {missing} (needed to download) is not installed; {advice}"
        )
    if not online(data_set.host):
        raise RecipeError(f"{absent}, and {data_set.host} cannot be reached; {advice}")
    print(f"downloading {data_set.label} to {folder}", file=sys.stderr)
    wanted = f"{name}/{data_set.config}" if data_set.config else name
    _run_worker(name, "download", wanted, folder, quiet=False)


def online(host: str) -> bool:
    """Returns whether a TCP connection to a host (or the HTTPS proxy) succeeds within seconds."""
    address: tuple[str | None, int] = (host, 443)
    proxy = urllib.request.getproxies().get("https")
    if proxy and not urllib.request.proxy_bypass(host):
        parts = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        address = (parts.hostname, parts.port or 80)
    reached = threading.Event()

    def connect():
        try:
            socket.create_connection(address, timeout=CONNECT_SECONDS).close()
        except Exception:  # Any failure means offline.
            return
        reached.set()

    # In a thread, because looking up a host name has no time limit of its own.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    return reached.is_set()


def _missing_packages():
    for package in ("tensorflow_datasets", "tensorflow"):
        try:
            found = importlib.util.find_spec(package) is not None
        except (ImportError, ValueError):
            found = False
        if not found:
            return package.replace("_", "-")
    return None


def _run_worker(name, *arguments, quiet=True):
    missing = _missing_packages()
    if missing:
        raise RecipeError(
            f"decoding {name} for the first time needs {missing}, which is not installed; "
            f"install it, copy the array cache ({cache_folder()}) from a machine that has it, "
            "or use `--data sample`"
        )
    project = str(Path(__file__).parents[2])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [project, os.environ.get("PYTHONPATH")])),
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONIOENCODING": "utf-8:backslashreplace",
    }
    command = [sys.executable, "-m", "common.data.tfds_worker", *map(str, arguments)]
    # A download shows its progress; a decoding is silent unless it fails.
    stderr = subprocess.PIPE if quiet else None
    result = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=stderr,
        encoding="utf-8",
        errors="replace",
    )
    if result.returncode != 0:
        lines = (result.stdout + (result.stderr or "")).strip().splitlines()
        reason = next((line[7:] for line in lines if line.startswith("error: ")), None)
        reason = reason or (lines[-1] if lines else f"exit code {result.returncode}")
        if result.returncode == NO_SPACE:
            raise RecipeError(
                f"no space to write {name}: {reason}. Free some, or name another folder "
                "(KERAS_RECIPE_BOX_CACHE for decoded arrays, --data-dir for downloads)"
            )
        if arguments[0] == "decode":
            raise RecipeError(
                f"could not read {name} in {arguments[1]}: {reason}. Where the files are damaged, "
                "remove that folder and run `make data`"
            )
        raise RecipeError(
            f"could not download {name} to {arguments[2]}: {reason}. Try again, or use "
            "`--data sample`, or name a prepared folder with `--data-dir`"
        )
