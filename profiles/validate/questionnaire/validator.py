"""`QuestionnaireValidator`: Questionnaires, and responses against the Questionnaire that they answer."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from profiles.fhirpath.engine import Engine
from profiles.issue import Issue
from profiles.validate.messages import shown
from profiles.validate.profile.codes import Codes
from profiles.validate.questionnaire.answers import Answers
from profiles.validate.questionnaire.definition import Definition
from profiles.validate.questionnaire.enabling import Enabling
from profiles.validate.questionnaire.expressions import RESPONSE, Expressions
from profiles.validate.questionnaire.findings import Findings
from profiles.validate.questionnaire.form import form, objects, walk
from profiles.validate.questionnaire.messages import issue
from profiles.validate.questionnaire.response import Response
from profiles.validate.walk import Place

Json = dict[str, Any]

QUESTIONNAIRE = "Questionnaire"
NOTHING: Mapping[str, Json] = {}


class Placed(NamedTuple):
    """A Questionnaire or a response, and where it stands: the resource itself, an entry, or contained."""

    resource: Json
    where: Place
    root: Json


class QuestionnaireValidator:
    """Checks of what R4 and SDC say of questions and answers. One instance serves a process; it keeps nothing.

    Args:
        codes: Membership in value sets.
        engine: For conditions that are expressions; its units compare quantities.
    """

    def __init__(self, codes: Codes, engine: Engine) -> None:
        self._codes = codes
        self._engine = engine

    def check(
        self,
        resource: Json,
        find: Callable[[str], Json | None],
        value_sets: Mapping[str, Json] = NOTHING,
    ) -> list[Issue]:
        """Return what is wrong with the questions and answers of a resource, of its entries and of what it contains.

        Args:
            resource: Decoded JSON that the check of every write has let pass.
            find: Finds the resource of a canonical, `None` where it is not known; contained ones are not asked for.
            value_sets: ValueSets by URL that answers may come from, before those that `codes` knows.

        Returns:
            Errors in document order, then the rest.
        """
        findings = Findings()
        try:
            for placed in subjects(resource):
                if placed.resource["resourceType"] == QUESTIONNAIRE:
                    Definition(form(placed.resource, placed.root), findings, self._engine).check(placed.where)
                else:
                    self._response(placed, find, value_sets, findings)
        except RecursionError:
            return [issue("too-much", str(resource.get("resourceType", "")))]
        found = list(dict.fromkeys(findings.issues))
        return [one for one in found if one.fails] + [one for one in found if not one.fails]

    def _response(
        self, placed: Placed, find: Callable[[str], Json | None], value_sets: Mapping[str, Json], findings: Findings
    ) -> None:
        canonical, where = placed.resource.get("questionnaire"), placed.where
        if not isinstance(canonical, str):
            findings.report("questionnaire-absent", where)
            return
        here = (where, "questionnaire", None)
        found = contained(placed, canonical) if canonical.startswith("#") else find(canonical)
        if found is None:
            findings.report("questionnaire-unknown", here, url=shown(canonical))
        elif found.get("resourceType") != QUESTIONNAIRE:
            kind = shown(found.get("resourceType", "resource"))
            findings.report("questionnaire-wrong", here, url=shown(canonical), found=kind)
        else:
            asked = form(found, placed.root if canonical.startswith("#") else None)
            units = self._engine.units
            answers = Answers(asked, findings, self._codes, units, value_sets)
            expressions = Expressions(self._engine, placed.resource)
            enabling = Enabling(asked, placed.resource, expressions, units)
            Response(asked, findings, answers, enabling, expressions).check(placed.resource, where)


def subjects(resource: Json) -> Iterator[Placed]:
    """Yield the Questionnaires and responses of a resource: itself, its contained ones, and those of the entries of a Bundle."""
    yield from _inner(resource, (None, str(resource.get("resourceType", "")), None), resource)


def _inner(resource: Json, where: Place, root: Json) -> Iterator[Placed]:
    if resource.get("resourceType") in (QUESTIONNAIRE, RESPONSE):  # not a set: it may be a list
        yield Placed(resource, where, root)
    for index, one in enumerate(objects(resource, "contained")):
        yield from _inner(one, ((where, "contained", index), one, None), root)
    if resource.get("resourceType") == "Bundle":
        for index, entry in enumerate(objects(resource, "entry")):
            inner = entry.get("resource")
            if isinstance(inner, dict):
                yield from _inner(inner, (((where, "entry", index), "resource", None), inner, None), inner)


def contained(placed: Placed, canonical: str) -> Json | None:
    """Return a contained resource by `#id`; what is contained itself shares those of its container."""
    for one in objects(placed.root, "contained"):
        if f"#{one.get('id')}" == canonical:
            return one
    return None


def canonicals(resource: Json) -> list[str]:
    """Return the canonicals of the Questionnaires that the responses in a resource answer, each once."""
    found = (placed.resource.get("questionnaire") for placed in subjects(resource))
    return list(dict.fromkeys(one for one in found if isinstance(one, str) and not one.startswith("#")))


def value_sets(questionnaire: Json) -> list[str]:
    """Return the canonicals of the value sets that the questions of a Questionnaire take their answers from, each once."""
    found = (question.value_set for question in walk(form(questionnaire).items))
    return list(dict.fromkeys(one for one in found if one and not one.startswith("#")))
