"""The table of the leak harness for the terminology service: what is asked of each of its operations."""

from collections.abc import Callable, Iterator, Mapping

from tests.access.ground import Ground
from tests.access.operation_probes import (
    closing,
    expansions,
    finding_codes,
    importing,
    many_codes,
    on_codes,
    translations,
    uses,
)
from tests.access.twins import Probe

TERMINOLOGY: Mapping[tuple[str, str, str, bool], Callable[[Ground], Iterator[Probe]]] = {
    ("$import", "POST", "CodeSystem/$import", False): importing,
    ("$usage", "GET", "CodeSystem/$usage", False): uses("GET"),
    ("$usage", "POST", "CodeSystem/$usage", False): uses("POST"),
    ("$expand", "GET", "ValueSet/{id}/$expand", False): expansions("GET", instance=True),
    ("$expand", "POST", "ValueSet/{id}/$expand", False): expansions("POST", instance=True),
    ("$expand", "GET", "ValueSet/$expand", False): expansions("GET"),
    ("$expand", "POST", "ValueSet/$expand", False): expansions("POST"),
    ("$validate-code", "GET", "ValueSet/{id}/$validate-code", False): on_codes(
        "ValueSet", "$validate-code", "GET", instance=True
    ),
    ("$validate-code", "POST", "ValueSet/{id}/$validate-code", False): on_codes(
        "ValueSet", "$validate-code", "POST", instance=True
    ),
    ("$validate-code", "GET", "ValueSet/$validate-code", False): on_codes("ValueSet", "$validate-code", "GET"),
    ("$validate-code", "POST", "ValueSet/$validate-code", False): on_codes("ValueSet", "$validate-code", "POST"),
    ("$validate-code", "GET", "CodeSystem/{id}/$validate-code", False): on_codes(
        "CodeSystem", "$validate-code", "GET", instance=True
    ),
    ("$validate-code", "POST", "CodeSystem/{id}/$validate-code", False): on_codes(
        "CodeSystem", "$validate-code", "POST", instance=True
    ),
    ("$validate-code", "GET", "CodeSystem/$validate-code", False): on_codes("CodeSystem", "$validate-code", "GET"),
    ("$validate-code", "POST", "CodeSystem/$validate-code", False): on_codes("CodeSystem", "$validate-code", "POST"),
    ("$lookup", "GET", "CodeSystem/{id}/$lookup", False): on_codes("CodeSystem", "$lookup", "GET", instance=True),
    ("$lookup", "POST", "CodeSystem/{id}/$lookup", False): on_codes("CodeSystem", "$lookup", "POST", instance=True),
    ("$lookup", "GET", "CodeSystem/$lookup", False): on_codes("CodeSystem", "$lookup", "GET"),
    ("$lookup", "POST", "CodeSystem/$lookup", False): on_codes("CodeSystem", "$lookup", "POST"),
    ("$subsumes", "GET", "CodeSystem/{id}/$subsumes", False): on_codes("CodeSystem", "$subsumes", "GET", instance=True),
    ("$subsumes", "POST", "CodeSystem/{id}/$subsumes", False): on_codes(
        "CodeSystem", "$subsumes", "POST", instance=True
    ),
    ("$subsumes", "GET", "CodeSystem/$subsumes", False): on_codes("CodeSystem", "$subsumes", "GET"),
    ("$subsumes", "POST", "CodeSystem/$subsumes", False): on_codes("CodeSystem", "$subsumes", "POST"),
    ("$find-matches", "GET", "CodeSystem/{id}/$find-matches", False): finding_codes("GET", instance=True),
    ("$find-matches", "POST", "CodeSystem/{id}/$find-matches", False): finding_codes("POST", instance=True),
    ("$find-matches", "GET", "CodeSystem/$find-matches", False): finding_codes("GET"),
    ("$find-matches", "POST", "CodeSystem/$find-matches", False): finding_codes("POST"),
    ("$batch-validate-code", "POST", "$batch-validate-code", False): many_codes("$batch-validate-code"),
    ("$batch-validate-code", "POST", "ValueSet/$batch-validate-code", False): many_codes(
        "ValueSet/$batch-validate-code"
    ),
    ("$batch-validate-code", "POST", "CodeSystem/$batch-validate-code", False): many_codes(
        "CodeSystem/$batch-validate-code"
    ),
    ("$translate", "GET", "ConceptMap/{id}/$translate", False): translations("GET", instance=True),
    ("$translate", "POST", "ConceptMap/{id}/$translate", False): translations("POST", instance=True),
    ("$translate", "GET", "ConceptMap/$translate", False): translations("GET"),
    ("$translate", "POST", "ConceptMap/$translate", False): translations("POST"),
    ("$closure", "POST", "ConceptMap/$closure", False): closing("ConceptMap/$closure"),
    ("$closure", "POST", "$closure", False): closing("$closure"),
}
