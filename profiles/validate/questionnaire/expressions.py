"""Expressions in Questionnaires, evaluated on a response: others wrote them, so all of them together have bounds."""

from time import monotonic
from typing import Any

from profiles.fhirpath.engine import Engine
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.functions.row import truth
from profiles.fhirpath.scope import Limits
from profiles.validate.published import RULES

Json = dict[str, Any]

RESPONSE = "QuestionnaireResponse"
ITEM = f"{RESPONSE}.item"
FHIRPATH = "text/fhirpath"

ONE = Limits(steps=100_000, seconds=0.25)
MOST_EVALUATED = 500
MOST_SECONDS = 1.0


class Expressions:
    """Evaluates expressions on one response.

    Args:
        engine: Compiles them.
        response: The response, which `%resource` means.
    """

    def __init__(self, engine: Engine, response: Json) -> None:
        self._engine = engine
        self._response = response
        self._evaluated = 0
        self._until = monotonic() + MOST_SECONDS

    def holds(self, text: str, item: Json | None = None) -> bool | None:
        """Return whether an expression is true of the response or of one of its items, `None` where that cannot be told."""
        self._evaluated += 1
        if self._evaluated > MOST_EVALUATED or monotonic() > self._until:
            return None
        subject: Any = self._response
        try:
            compiled = self._engine.compile(text, ITEM if item is not None else RESPONSE, RULES)
            if item is not None:
                subject = self._engine.node(item, ITEM)
            # Nothing is false, as it is in invariants.
            return bool(truth(compiled.nodes(subject, limits=ONE, resource=self._response), "A condition"))
        except FhirPathError:
            return None
