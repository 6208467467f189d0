"""How numbers are worded."""

import pytest

from common.basics import wording


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "\N{EN DASH}"),
        (0.842, "0.84 s"),
        (42.4, "42 s"),
        (59.7, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599, "59 min 59 s"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(seconds, text):
    assert wording.duration(seconds) == text


def test_a_name_that_is_no_text_is_shown_by_its_codes():
    assert wording.printable("d\udcff/\u65e5") == "d\\udcff/\u65e5"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123456, "0.01235"),
        (999.96, "1,000"),
        (9740.4, "9,740"),
        (-41361.0, "-41,360"),
        (1e15, "1e+15"),
        (float("nan"), "nan"),
    ],
)
def test_large_numbers_are_written_out(value, text):
    assert wording.significant(value) == text
    assert wording.number(value) == text


def test_digits_and_signs_of_numbers():
    assert wording.significant(1234567.0, 6) == "1,234,570"
    assert wording.significant(12.4, 2, sign=True) == "+12"
    assert wording.significant(5312.0, 2, sign=True) == "+5,300"
