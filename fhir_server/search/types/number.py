"""Number parameters: implicit precision and prefixes (R4 3.1.1.4.6). A stored entry is the range `{lo, hi}`, as doubles."""

from collections.abc import Iterator, Sequence
from math import inf
from typing import Any

from fhir_server.search.params import Param
from fhir_server.search.reading import PLAIN, Reading


def entries(values: Sequence[tuple[str, Any]], param: Param, reading: Reading = PLAIN) -> list[dict[str, float]]:
    """Return the range of each value; of a single number the range of that point."""
    return list(_ranges(values))


def _ranges(values: Sequence[tuple[str, Any]]) -> Iterator[dict[str, float]]:
    for type_name, value in values:
        if type_name == "Range":
            low, high = (value.get(side, {}).get("value") for side in ("low", "high"))
            if low is not None or high is not None:
                yield {"lo": -inf if low is None else float(low), "hi": inf if high is None else float(high)}
        else:
            yield {"lo": float(value), "hi": float(value)}
