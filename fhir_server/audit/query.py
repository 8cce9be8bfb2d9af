"""What the trail keeps of a query: which parameters were asked for, and the codes, ids and dates among their values.

The trail names nobody (product.md 11). So what could identify a person (a name, an identifier, an address, a birth date, a
telephone number, or any free text, under whatever chain) is replaced by a keyed hash: two rows show that the same was asked
for, and whoever has the value and the key of the deployment can look for it, but nobody reads it there. A parameter that is not
known is treated so with its name, for what stands there can be anything.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote

from fhir_server.model.request import Pairs
from fhir_server.search.escapes import split
from fhir_server.search.params import params
from fhir_server.search.results import CURSOR, RESULTS
from profiles.definitions.registry import Definitions

MARK = "~"
"""Begins a hash; no value that is kept does."""

HASHED = 16
"""Digits of a hash."""

MOST = 2000
"""Characters that are kept of a query; a hash of all of it stands for the rest."""

IDENTIFYING_TYPES = frozenset({"Identifier", "ContactPoint", "HumanName", "Address"})
IDENTIFYING = frozenset({"birthdate", "death-date"})
TEXTS = frozenset({"identifier", "of-type", "text", "contains", "exact"})
"""Modifiers under which any value is a text or an identifier."""

MODIFIERS = TEXTS | {"above", "below", "in", "iterate", "missing", "not", "not-in", "recurse"}

KEPT_TYPES = frozenset({"date", "number", "quantity", "reference", "token", "uri"})
OTHERS = frozenset({"_at", "_list", "_since", "_type", "end", "start"})
"""Parameters of histories and operations that hold times, types and ids."""

UNKNOWN = "_unknown"
PLAIN = re.compile(r"[\w.,:;|/$+#@&=%()\[\]-]{1,200}", re.ASCII)
NAME = re.compile(r"[\w-]{1,64}", re.ASCII)
REACHED = re.compile(r"[:.]")


def cleaned(pairs: Pairs, definitions: Definitions, key: bytes) -> str:
    """Return a query as it is kept, percent-encoded where that is needed; empty for no pairs.

    Args:
        pairs: Decoded names and values of the URL and of a form.
        definitions: FHIR definitions, which say what parameters hold.
        key: The deployment's own secret.
    """
    known = kept_codes(definitions)
    text = "&".join(_pair(name, value, known, key) for name, value in pairs if value)
    return text if len(text) <= MOST else f"{text[:MOST]}{_hashed(text, key)}"


def fingerprint(value: str, key: bytes) -> str:
    """Return what stands in the trail for a value: who has the value finds the queries for it."""
    return _hashed(value, key)


@lru_cache(maxsize=8)
def kept_codes(definitions: Definitions) -> Mapping[str, bool]:
    """Return the codes of all search parameters, each with whether its values are kept.

    The same code may be a parameter of several types; one that holds texts of any of them is hashed for all.
    """
    kept: dict[str, bool] = {}
    for resource_type in definitions.resource_types:
        for code, param in params(resource_type, definitions).items():
            plain = param.type in KEPT_TYPES and not param.value_types & IDENTIFYING_TYPES and code not in IDENTIFYING
            composite = param.type == "composite" and "string" not in code
            kept[code] = kept.get(code, True) and (plain or composite)
    return {**kept, **dict.fromkeys((*RESULTS, *OTHERS), True), CURSOR: False}


def _pair(name: str, value: str, known: Mapping[str, bool], key: bytes) -> str:
    parts = REACHED.split(name)
    modifier = parts[-1] if len(parts) > 1 and parts[-1] in MODIFIERS and parts[-1] not in known else ""
    codes = [part for part in (parts[:-1] if modifier else parts) if not part[:1].isupper()]
    if not all(NAME.fullmatch(part) for part in parts) or not codes or not _is_known(codes, known):
        return f"{UNKNOWN}={_hashed(f'{name}={value}', key)}"
    is_kept = known.get(codes[-1], False) and modifier not in TEXTS
    values = split(value, ",") if codes[-1] not in {"_filter", "_query"} else [value]
    return f"{name}={','.join(_values(values, key, kept=is_kept))}"


def _is_known(codes: list[str], known: Mapping[str, bool]) -> bool:
    """Return whether each link of a chain is one; modifiers such as `:identifier` may stand between them."""
    return all(code in known or code in {"_has", "_filter", "_content", "_text", "_query", *TEXTS} for code in codes)


def _values(values: list[str], key: bytes, *, kept: bool) -> Iterator[str]:
    for value in values:
        yield quote(value, safe="/:|$,.-") if kept and PLAIN.fullmatch(value) else _hashed(value, key)


def _hashed(text: str, key: bytes) -> str:
    return MARK + hmac.new(key, f"query\n{text.casefold()}".encode(), hashlib.sha256).hexdigest()[:HASHED]
