"""A search of AuditEvents as a filter over the rows of the trail.

The generic parser has read and checked the search, and what a caller may see is an expression of the same kind; both are
compiled here, so that no row is looked at that the caller may not see.
"""

from fhir_server.audit.answers import answer_of, present
from fhir_server.audit.render import Observer
from fhir_server.audit.where import all_of, any_of, clause, none_of, of_patients, one_of
from fhir_server.model.errors import InvalidParameter
from fhir_server.model.query import ANYTHING, NOTHING, Where
from fhir_server.search.expression import (
    And,
    Anything,
    Cleared,
    Criterion,
    Disclosed,
    Expression,
    InCompartment,
    Missing,
    Not,
    Nothing,
    OfPatients,
    Or,
    OwnedBy,
)


def compile(expression: Expression, observer: Observer) -> Where:  # noqa: A001, C901 - what it does; one case for each node
    """Return the filter over rows.

    Raises:
        InvalidParameter: It asks for what rows do not hold.
    """
    match expression:
        case Anything() | Cleared() | Disclosed():  # rows have neither labels nor gates
            return ANYTHING
        case And(items):
            return all_of([compile(item, observer) for item in items])
        case Or(items):
            return any_of([compile(item, observer) for item in items])
        case Not(item):
            return none_of(compile(item, observer))
        case Criterion(param):
            return answer_of(param.code)(expression.values, observer)
        case Missing(param):
            return none_of(present(param.code))
        case InCompartment(patient):
            return clause(of_patients([patient]))
        case OfPatients(patients):
            return clause(of_patients(sorted(patients))) if patients else NOTHING
        case OwnedBy(facilities):
            # Privacy officers see what their own staff do, and what anybody does with the records that they keep.
            one = one_of(sorted(facilities)) if facilities else None
            return clause({"$or": [{"f": one}, {"cf": one}]}) if facilities else NOTHING
        case Nothing():
            return NOTHING
    raise InvalidParameter(
        "The audit trail is not searched by texts, value sets or hierarchies. Use codes, ids and dates.",
        expression="http.query",
    )
