"""BSON, with exact decimals (R4 2.6.2): `1.00` is stored as `1.00` (Decimal128) and comes back so.

A whole number that does not fit 64 bits becomes Decimal128 as well. More than 34 significant digits fit no BSON number
and are refused by name.
"""

import re
import struct
from collections.abc import Mapping
from datetime import UTC
from decimal import Decimal, DecimalException
from functools import lru_cache
from typing import Any

import bson
from bson.codec_options import CodecOptions, TypeDecoder, TypeRegistry
from bson.decimal128 import Decimal128
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from fhir_server.model.errors import Unprocessable
from fhir_server.store.failures import too_large

MOST_BYTES = 16 * 2**20
MOST_DIGITS = 34
_INT64 = range(-(2**63), 2**63)

# Decimal128, binary integer encoding: sign, exponent + bias in 14 bits, coefficient in 113 bits (IEEE 754-2019 3.5.2).
_PLAIN = re.compile(r"(-?)(\d+)(?:\.(\d+))?", re.ASCII)
_BIAS = 6176
_LOW = 2**64 - 1
_BITS = struct.Struct("<QQ")


def _decimal128(value: Any) -> Any:
    """Encode what the driver cannot: decimals. Anything else is given back, so that the driver names it."""
    return _of_digits(str(value)) if isinstance(value, Decimal) else value


# Keyed by the digits, because 1.0 and 1.00 are equal; lengths, doses and prices repeat.
@lru_cache(maxsize=4096)
def _of_digits(digits: str) -> Decimal128:
    """Return the decimal of a text. Most are plain, for which the bits are put together here: the driver takes 10 µs."""
    plain = _PLAIN.fullmatch(digits)
    if plain is None or len(plain[2]) + len(plain[3] or "") > MOST_DIGITS:
        return Decimal128(digits)
    sign, whole, fraction = plain[1], plain[2], plain[3] or ""
    coefficient = int(whole + fraction)
    high = (bool(sign) << 63) | ((_BIAS - len(fraction)) << 49) | (coefficient >> 64)
    return Decimal128.from_bid(_BITS.pack(coefficient & _LOW, high))


class _Decimals(TypeDecoder):
    """Decode Decimal128 to `Decimal`."""

    bson_type = Decimal128

    def transform_bson(self, value: Any) -> Decimal:
        """Return the decimal with the digits that it has."""
        decimal: Decimal = value.to_decimal()
        return decimal


# A fallback costs nothing for values that the driver knows; a codec registered for a type is looked up for each value.
ENVELOPE: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True, tzinfo=UTC, type_registry=TypeRegistry(fallback_encoder=_decimal128)
)
NATIVE: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True, tzinfo=UTC, type_registry=TypeRegistry([_Decimals()], fallback_encoder=_decimal128)
)
# Instants in UTC that do not say so: the driver adds time zones in Python, which for a page takes longer than all the rest.
BARE: CodecOptions[dict[str, Any]] = CodecOptions(type_registry=TypeRegistry(fallback_encoder=_decimal128))
RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument, tz_aware=True, tzinfo=UTC)


def encode(doc: Mapping[str, Any]) -> RawBSONDocument:
    """Return the document as BSON.

    Raises:
        Unprocessable: A number with more than 34 digits or an exponent beyond ±6144, or text that BSON cannot hold.
        TooLarge: More than 16 MB.
    """
    try:
        try:
            data = bson.encode(doc, codec_options=ENVELOPE)
        except OverflowError:
            data = bson.encode(_widened(doc), codec_options=ENVELOPE)
    except DecimalException:
        raise Unprocessable(
            "The resource has a number with more than 34 significant digits, or an exponent beyond 6144, which cannot be "
            "stored exactly. Send it with fewer digits."
        ) from None
    except (BSONError, UnicodeEncodeError) as error:
        raise Unprocessable(
            f"The resource cannot be stored: {error}. Remove the character or property named."
        ) from None
    if len(data) > MOST_BYTES:
        raise too_large()
    return RawBSONDocument(data, RAW)


def native(doc: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored document, or a part of one, as plain dicts with `Decimal`."""
    data = doc.raw if isinstance(doc, RawBSONDocument) else bson.encode(doc, codec_options=ENVELOPE)
    return bson.decode(data, codec_options=NATIVE)


def _widened(value: Any) -> Any:
    """Return the same value with whole numbers beyond 64 bits as Decimal128."""
    if isinstance(value, Mapping):
        return {key: _widened(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_widened(child) for child in value]
    if type(value) is int and value not in _INT64:
        return Decimal128(Decimal(value))
    return value
