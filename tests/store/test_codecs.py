"""Numbers and texts on their way into BSON and back."""

from decimal import Decimal

import bson
import pytest
from bson.decimal128 import Decimal128

from fhir_server.model.errors import TooLarge, Unprocessable
from fhir_server.store.codecs import encode, native


@pytest.mark.parametrize(
    "text", ["1.00", "0.10", "-0.0", "1E+3", "0E-10", "1234567890.123456789012345678901234", "9E-6176"]
)
def test_a_decimal_comes_back_with_the_digits_it_had(text: str) -> None:
    assert str(native(encode({"v": [{"v": Decimal(text)}]}))["v"][0]["v"]) == text


@pytest.mark.parametrize(
    "text",
    ["0", "-0", "0.00", "72", "-1.50", "9" * 34, "0." + "9" * 34, "9" * 17 + "." + "0" * 17, "18446744073709551616.5"],
)
def test_a_plain_decimal_has_the_bits_that_the_driver_gives_it(text: str) -> None:
    assert bson.decode(encode({"v": Decimal(text)}).raw)["v"].bid == Decimal128(Decimal(text)).bid


@pytest.mark.parametrize("number", [2**31, 2**63 - 1, -(2**63), 2**63, 10**33 + 1])
def test_a_whole_number_of_any_size_up_to_34_digits_keeps_its_value(number: int) -> None:
    assert native(encode({"v": [number], "w": True})) == {"v": [number], "w": True}


@pytest.mark.parametrize("number", [Decimal("1." + "0" * 33 + "1"), 10**34 + 1, Decimal("1E+7000")])
def test_a_number_that_cannot_be_exact_is_refused(number: Decimal | int) -> None:
    with pytest.raises(Unprocessable, match="34 significant digits"):
        encode({"v": number})


@pytest.mark.parametrize("doc", [{"a\x00b": 1}, {"v": "\ud800"}])
def test_text_that_bson_cannot_hold_is_refused(doc: dict[str, object]) -> None:
    with pytest.raises(Unprocessable, match="cannot be stored"):
        encode(doc)


def test_a_document_above_16_mb_is_refused() -> None:
    with pytest.raises(TooLarge):
        encode({"v": ["x" * 10_000_000, "y" * 10_000_000]})
