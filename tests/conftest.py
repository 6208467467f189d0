"""What all tests share: no network, a cache of their own, markers that say why they skip."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from common.basics.processor import cpu_count

ROOT = Path(__file__).parent.parent
NO_NETWORK = Path(__file__).parent / "no_network"

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Small networks gain nothing from a GPU, and a shared one makes results vary.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(NO_NETWORK), *filter(None, [os.environ.get("PYTHONPATH")])]
)
runpy.run_path(str(NO_NETWORK / "sitecustomize.py"))


def pytest_configure(config):
    """Shares the cores among the processes: threads that wait do so at full speed.

    A notebook whose process had two threads beside another busy one took ten times as long. The process
    that hands out tests runs none; what it set, those that run them would inherit.
    """
    if getattr(config.option, "numprocesses", None):
        return
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ.setdefault(name, str(max(cpu_count() // processes, 1)))


def pytest_collection_modifyitems(items):
    for item in items:
        if "real_data" in item.keywords and not os.environ.get("TFDS_DATA_DIR"):
            item.add_marker(pytest.mark.skip(reason="real data: TFDS_DATA_DIR names no folder"))
        if "slow" in item.keywords and not os.environ.get("RUN_SLOW"):
            item.add_marker(pytest.mark.skip(reason="slow: run with make test-all"))


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory):
    """A folder for decoded arrays, shared by the tests of a session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache_folder, monkeypatch):
    monkeypatch.setenv("KERAS_RECIPE_BOX_CACHE", str(cache_folder))


@pytest.fixture
def in_tmp(tmp_path, monkeypatch):
    """Runs the test in an empty folder: runs/ is made there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def recipes_command(tmp_path, cache_folder):
    """Returns a function that runs `recipes WORDS...` as a process of its own."""

    def run(*words, cwd=tmp_path, env=None, **kwargs):
        return subprocess.run(
            [sys.executable, "-m", "recipes", *map(str, words)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=600,
            env={**os.environ, "PYTHONPATH": f"{NO_NETWORK}{os.pathsep}{ROOT}", **(env or {})},
            **kwargs,
        )

    return run


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """Returns paths of tiny data sets by kind: images of any size, texts, sound, rows."""
    import numpy as np
    from scipy.io import wavfile

    folder = tmp_path_factory.mktemp("tiny")
    random = np.random.default_rng(0)
    y = np.arange(120) % 3
    # A bright spot whose place is the class: learnable at every image size and number of channels.
    x = random.integers(0, 90, (120, 32, 32, 3), dtype=np.uint8)
    for index, label in enumerate(y):
        x[index, 4:14, 2 + 10 * label : 10 + 10 * label] = random.integers(180, 255)
    test_x, test_y = x[:37], y[:37]
    np.savez(folder / "images.npz", x_train=x[37:], y_train=y[37:], x_test=test_x, y_test=test_y)
    words = [["dull", "awful", "boring"], ["great", "superb", "moving"]]
    rows = ["text,label"]
    for index in range(120):
        label = index % 2
        filler = " ".join(
            random.choice(["the", "film", "was", "a", "plot"], random.integers(2, 30))
        )
        rows.append(f"{filler} {random.choice(words[label])} {filler},{['neg', 'pos'][label]}")
    (folder / "texts.csv").write_text("\n".join(rows) + "\n")
    for index in range(90):
        # A tone whose pitch is the class, in a clip of any length.
        time = np.arange(random.integers(1500, 6000)) / 8000
        tone = np.sin(2 * np.pi * 300 * 2 ** (index % 3) * random.uniform(0.9, 1.1) * time)
        wave = random.uniform(0.1, 0.6) * tone + random.normal(0, 0.02, len(time))
        place = folder / "sounds" / ("high", "low", "middle")[(index % 3 + 1) % 3]
        place.mkdir(parents=True, exist_ok=True)
        wavfile.write(place / f"{index}.wav", 8000, (wave * 2**15).astype(np.int16))
    rows = ["id,size,colour,note,label"]
    for index in range(120):
        # Size and colour tell the class; some of both are missing.
        label = index % 2
        size = "" if index % 11 == 0 else f"{random.normal(3 * label):.2f}"
        colour = (
            "?"
            if index % 13 == 0
            else random.choice(["red", "blue"], p=[0.9, 0.1][:: 1 - 2 * label])
        )
        rows.append(
            f"r{index},{size},{colour},{random.choice(['a', 'b', 'c'])},{['no', 'yes'][label]}"
        )
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    rows = ["id,size,colour,note,label"]
    for index in range(120):
        # The number follows from size and colour; some of both are missing.
        size, red = random.normal(), random.random() < 0.5
        number = 50 + 10 * size + 8 * red + random.normal()
        cells = ["" if index % 11 == 0 else f"{size:.2f}", "?" if index % 13 == 0 else f"c{red:d}"]
        rows.append(f"r{index},{','.join(cells)},{random.choice(['a', 'b', 'c'])},{number:.1f}")
    (folder / "numbers.csv").write_text("\n".join(rows) + "\n")
    paths = {
        "image": "images.npz",
        "text": "texts.csv",
        "audio": "sounds",
        "table": "table.csv",
        "numbers": "numbers.csv",
    }
    return {kind: folder / name for kind, name in paths.items()}
