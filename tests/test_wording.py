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
