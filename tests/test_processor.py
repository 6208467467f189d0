"""What a result says of its processor."""

import pytest

from common.basics import processor

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
