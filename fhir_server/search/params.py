"""The search parameters that a resource type effectively has, with what the index knows about each (R4 3.1.1.4).

Three parameters of a type are special in the stored document, by the tables below:

* the **primary date** lives in the scalars `d`, `dh` (and `dl`), not in `s`;
* the **primary code** shares the compound indexes with patient and date;
* the **patient** parameters (`patient`, `subject`) are answered from the scalar `p`. All of them read the one element that
  `p` is taken from first, so they say `Patient/x` exactly when `p` is `x` and `s.<code>` is absent. Where the element
  holds anything else, `s.<code>` holds that; where it is empty though `p` is set (from another element, such as a
  performer), `s.<code>` is the empty text.

A parameter with `parts` is the union of other parameters of its type and is not stored: it holds where one of them does.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Param:
    """One search parameter of one resource type.

    Attributes:
        code: Name in the query string.
        type: number, date, string, token, reference, composite, quantity, uri or special.
        resource_type: The type that it is a parameter of.
        array: Whether `s.<code>` is an array. Ranges (date, number, quantity) always are, whatever this says.
        field: Where it is stored: `s.<code>`, but `_id` for `_id` and `lu` for `_lastUpdated`.
        primary_date: Whether it lives in `d`, `dh`, `dl`.
        primary_code: Whether the compound indexes carry it.
        patient: Whether it is answered from `p`.
        sort_key: Whether `k.<code>` holds its sort keys: `{a: least, z: greatest}`, folded text.
        parts: Codes whose union it is; then it is not stored.
        value_types: FHIR types of the values that it selects, such as `CodeableConcept`.
        targets: Resource types that a reference parameter may point to; empty for any.
        url: Canonical URL of its definition.
        description: The specification's sentence.
    """

    code: str
    type: str
    resource_type: str
    array: bool
    field: str
    primary_date: bool
    primary_code: bool
    patient: bool
    sort_key: bool
    parts: tuple[str, ...]
    value_types: frozenset[str]
    targets: tuple[str, ...]
    url: str
    description: str
