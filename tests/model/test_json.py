"""JSON that clients send: what is refused beyond what a parser refuses."""

import pytest

from fhir_server.model import json
from fhir_server.model.errors import BadRequest


def nested(levels: int, inside: str = "") -> bytes:
    return ('{"a":' + "[" * (levels - 1) + inside + "]" * (levels - 1) + "}").encode()


@pytest.mark.parametrize("inside", ["", '"]]]"', '"\\"}{"'])
def test_a_hundred_levels_are_taken_and_one_more_is_not(inside: str) -> None:
    assert "a" in json.parse(nested(json.MAX_DEPTH, inside))
    with pytest.raises(BadRequest, match="100 levels deep"):
        json.parse(nested(json.MAX_DEPTH + 1, inside))


def test_many_objects_side_by_side_are_not_deep() -> None:
    assert len(json.parse(b'{"a":[' + b",".join([b'{"b":[]}'] * 200) + b"]}")["a"]) == 200


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"a":1, "b":{"c":2,"c":3}}',
        '{\n  "a": 1,\n  "a": 1\n}',
        '{"a":"{","a":"{"}',
        '{"\\u0061":1,"a":2}',
    ],
)
def test_a_property_given_twice_is_refused_however_it_is_written(text: str) -> None:
    with pytest.raises(BadRequest, match=r"'[ac]' twice in one object"):
        json.parse(text.encode())


@pytest.mark.parametrize("text", ['{"a":1.00,"b":"\\u00e9"}', '{ "a" : 1.00 , "b" : "é" }'])
def test_digits_and_letters_stay_whatever_the_white_space_and_escapes(text: str) -> None:
    value = json.parse(text.encode())
    assert (str(value["a"]), value["b"]) == ("1.00", "é")


def test_an_exponent_that_no_number_has_is_refused() -> None:
    with pytest.raises(BadRequest, match="exponent is out of range"):
        json.parse(b'{"a":1e99999999999999999999}')
