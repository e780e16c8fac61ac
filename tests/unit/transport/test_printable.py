from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cookline.control.transport.printable import printable, printable_value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain äöü 漢字 🍳\ttab\nline", "plain äöü 漢字 🍳\ttab\nline"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("over\rwrite\b", "over\\x0dwrite\\x08"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("\u2028\ufeff\ud800", "\\u2028\\ufeff\\ud800"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@settings(max_examples=50)
@given(st.recursive(st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_no_value_keeps_one(value: object) -> None:
    shown = printable_value(value)
    assert "\x1b" not in str(shown)
    assert printable_value(shown) == shown
