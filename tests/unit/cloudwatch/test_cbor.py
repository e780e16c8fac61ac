"""CBOR, with botocore's own reader and writer as the other side."""

from __future__ import annotations

import math
from typing import Any

import pytest
from botocore.parsers import RpcV2CBORParser
from hypothesis import given
from hypothesis import strategies as st

from cookline.cloudwatch import cbor

LEAVES = st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def without_nones(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nones(each) for key, each in value.items() if each is not None}
    return [without_nones(each) for each in value] if isinstance(value, list) else value


@given(VALUES)
def test_what_is_written_is_read(value: Any) -> None:
    assert cbor.loads(cbor.dumps(value)) == without_nones(value)


@given(VALUES)
def test_botocore_reads_the_same(value: Any) -> None:
    parser = RpcV2CBORParser()
    stream = parser.get_peekable_stream_from_bytes(cbor.dumps(value))
    assert parser.parse_data_item(stream) == without_nones(value)


def test_times_carry_tag_1_and_doubles_stay_doubles() -> None:
    assert cbor.dumps(cbor.Timestamp(60)).hex() == "c1183c"
    assert cbor.dumps(cbor.Timestamp(0.5)).hex() == "c1fb3fe0000000000000"
    assert cbor.dumps(1.0).hex() == "fb3ff0000000000000"
    assert cbor.loads(bytes.fromhex("c1183c")) == 60
    assert math.isnan(cbor.loads(bytes.fromhex("f97e00")))


def test_pieces_of_unknown_length() -> None:
    assert cbor.loads(bytes.fromhex("bf6161 9f0102ff 6162 7f61786179ff ff")) == {"a": [1, 2], "b": "xy"}


LIES = {
    "nothing": "",
    "two items": "0101",
    "a list longer than its bytes": "9b7fffffffffffffff",
    "a string longer than its bytes": "7b7fffffffffffffff61",
    "a lone break": "ff",
    "a break in a counted list": "82ff",
    "a break for a value": "bf6161ff",
    "an endless list": "9f01",
    "an endless string": "7f6161",
    "a piece of another kind": "7f4161ff",
    "a reserved length": "1c",
    "an unknown simple value": "f8ff",
    "an unknown tag": "c001",
    "a time that is text": "c16161",
    "a key that is a number": "a10101",
    "text that is not UTF-8": "61ff",
    "too deep": "81" * 40 + "01",
}


@pytest.mark.parametrize("content", LIES.values(), ids=LIES.keys())
def test_lies_are_value_errors(content: str) -> None:
    with pytest.raises(ValueError):
        cbor.loads(bytes.fromhex(content))


@given(st.binary())
def test_any_bytes_are_a_value_or_a_value_error(content: bytes) -> None:
    try:
        cbor.loads(content)
    except ValueError:
        return
