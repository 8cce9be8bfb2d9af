"""URI parameters: exact text (R4 3.1.1.4.9). A stored entry is the URI as written."""

from collections.abc import Sequence
from typing import Any

from fhir_server.search.params import Param
from fhir_server.search.reading import PLAIN, Reading


def entries(values: Sequence[tuple[str, Any]], param: Param, reading: Reading = PLAIN) -> list[str]:
    """Return the distinct URIs."""
    return list(dict.fromkeys(value for _, value in values if isinstance(value, str)))
