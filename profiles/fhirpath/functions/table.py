"""All functions by name."""

from collections.abc import Mapping

from profiles.fhirpath.functions import collections, conversion, numbers, resources, strings
from profiles.fhirpath.functions.row import Function

FUNCTIONS: Mapping[str, Function] = {
    **collections.ROWS,
    **conversion.ROWS,
    **strings.ROWS,
    **numbers.ROWS,
    **resources.ROWS,
}

TYPE_FUNCTIONS = frozenset({"is", "as", "ofType"})
"""Functions whose argument is the name of a type."""

SORT = "sort"
"""The function whose arguments may have a `-` for the falling order."""

NAMES = frozenset({*FUNCTIONS, *TYPE_FUNCTIONS, SORT})
