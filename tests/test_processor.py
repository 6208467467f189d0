"""The processor: what a result says of it, and who computes on how many of its cores."""

import os
import subprocess
import sys

import pytest

from common.basics import processor
from tests.conftest import ROOT

CPUINFO = """processor\t: 0
model name\t: AMD EPYC
flags\t\t: fpu sse2 {flags}

processor\t: 1
model name\t: another
flags\t\t: amx_bf16
"""


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ("avx2 avx512f avx512_bf16", "AMD EPYC (AVX512-BF16)"),
        ("avx512f avx2", "AMD EPYC (AVX512)"),
        ("avx2", "AMD EPYC (AVX2)"),
        ("", "AMD EPYC"),
    ],
)
def test_a_processor_is_named_with_what_makes_it_fast(flags, name, tmp_path, monkeypatch):
    file = tmp_path / "cpuinfo"
    file.write_text(CPUINFO.format(flags=flags))
    monkeypatch.setattr(processor, "CPUINFO", file)
    assert processor.cpu_name() == name


def test_where_the_system_tells_nothing_a_processor_still_has_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "absent")
    assert processor.cpu_flags() == set()
    assert processor.cpu_name()


def test_models_beside_a_network_compute_on_one_thread():
    import sklearn.ensemble  # noqa: F401
    import threadpoolctl

    with processor.one_thread():
        assert {each["num_threads"] for each in threadpoolctl.threadpool_info()} == {1}


def test_the_processes_of_the_tests_share_the_cores(tmp_path):
    """Those that run tests inherit what the one that hands them out has set: it must set nothing."""
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    file = tmp_path / "test_it.py"
    file.write_text(
        "import os, pathlib\n"
        "def test_it():\n"
        f"    found = [os.environ.get(name) for name in {names}]\n"
        "    pathlib.Path(__file__).with_suffix('.txt').write_text(repr(found))\n"
    )
    env = {name: value for name, value in os.environ.items() if name not in names}
    for processes in (None, 2):
        for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
            env.pop(name, None)
        words = ["-n", str(processes)] if processes else []
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", *words, str(file)],
            cwd=ROOT,
            env=env,
            check=True,
            capture_output=True,
        )
        expected = str(max(processor.cpu_count() // (processes or 1), 1))
        assert file.with_suffix(".txt").read_text() == repr([expected] * 2)
