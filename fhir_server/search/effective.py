"""`_lastUpdated` as patients are shown it: when they could first see the version, not only when it was written (product.md 3, I5).

What becomes visible without a new version has the moment in its envelope: `va`, its time has come; `op`, what held it let go of it. An app that asks for what is new since its last visit would miss it by `lu` alone. The resource itself is not touched:
its `meta.lastUpdated`, version and ETag stay those that everybody sees.
"""

from dataclasses import replace

import msgspec

from fhir_server.search.expression import And, Criterion, Expression, Not, Or, all_of, any_of, none_of
from fhir_server.search.params import Param
from fhir_server.search.parse import SearchRequest
from fhir_server.search.types.date import EFFECTIVE, UPDATED


def request(asked: SearchRequest) -> SearchRequest:
    """Return a search as a patient means it: its `_lastUpdated`, also in `_sort`, is that of becoming visible.

    A search for contained resources is left as it is; its containers are judged by when they were written.
    """
    if asked.contained != "false":
        return asked
    sort = tuple(msgspec.structs.replace(key, param=_param(key.param)) for key in asked.sort)
    return msgspec.structs.replace(asked, expression=expression(asked.expression), sort=sort)


def expression(asked: Expression) -> Expression:
    """Return an expression in which `_lastUpdated` of the type itself is that of becoming visible."""
    match asked:
        case Criterion(param, values) if param.field == UPDATED:
            return Criterion(_param(param), values)
        case And(items):
            return all_of(expression(item) for item in items)
        case Or(items):
            return any_of(expression(item) for item in items)
        case Not(item):
            return none_of(expression(item))
    return asked


def _param(param: Param) -> Param:
    return replace(param, field=EFFECTIVE) if param.field == UPDATED else param
