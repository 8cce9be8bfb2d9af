"""What a question asks of a value besides its type: length, range, format, unit, media type, target (R4 extensions, SDC)."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from profiles.fhirpath import patterns
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.scope import Units
from profiles.primitives import ALLOWED, OID, UUID
from profiles.validate.messages import shown
from profiles.validate.questionnaire.compare import NUMBERS, compared, measurable
from profiles.validate.questionnaire.findings import Findings, words
from profiles.validate.questionnaire.form import FHIR, SDC, Question, value
from profiles.validate.reference import named
from profiles.validate.walk import Place

Json = dict[str, Any]

UNIT_OPEN = f"{SDC}unitOpen"
ENTRY_FORMAT = f"{FHIR}entryFormat"
LONGEST_MATCHED = 100_000
MOST_NAMED = 200
"""Units, media types or targets of one question that are looked at."""


class Bound(NamedTuple):
    """An end of a range: its name, the finding about what is beyond it, and which way that is."""

    name: str
    message: str
    outside: int


_LEAST = Bound("minimum", "answer-less", -1)
_MOST = Bound("maximum", "answer-more", 1)


class Members(Protocol):
    """Tells whether a code is in a value set."""

    def member(self, value_set: str, system: str, code: str) -> bool | None:
        """Return whether a code is in a value set, `None` where that is not known."""


class Limits:
    """The checks of a value by its question.

    Args:
        findings: Where to report.
        units: Units of measure.
        codes: Membership in value sets.
    """

    def __init__(self, findings: Findings, units: Units | None, codes: Members) -> None:
        self._findings = findings
        self._units = units
        self._codes = codes
        self._patterns: dict[str, patterns.Pattern | None] = {}
        self._rules: Mapping[str, Callable[[Question, str, Any, Any, Place], None]] = {
            f"{FHIR}minValue": self._least,
            f"{FHIR}maxValue": self._most,
            f"{SDC}minQuantity": self._least,
            f"{SDC}maxQuantity": self._most,
            f"{FHIR}minLength": self._shortest,
            f"{FHIR}regex": self._pattern,
            f"{FHIR}maxDecimalPlaces": self._digits,
            f"{FHIR}maxSize": self._size,
            f"{FHIR}questionnaire-unitValueSet": self._unit_set,
        }
        self._together: Mapping[str, Callable[[Question, str, Any, list[Any], Place], None]] = {
            f"{FHIR}mimeType": self._media,
            f"{FHIR}questionnaire-unitOption": self._unit_options,
            f"{FHIR}questionnaire-referenceResource": self._targets,
            f"{FHIR}questionnaire-referenceProfile": self._profiles,
        }

    def check(self, question: Question, kind: str, given: Any, where: Place) -> None:
        """Report where a value is not within what its question asks."""
        if isinstance(given, str):
            self._text(question, kind, given, where)
        for url, extensions in question.extensions.items():
            limits = [value(one, "value")[1] for one in extensions[:MOST_NAMED]]
            if url in self._rules:
                self._rules[url](question, kind, given, limits[0], where)
            elif url in self._together:
                self._together[url](question, kind, given, limits, where)

    def _text(self, question: Question, kind: str, given: str, where: Place) -> None:
        longest = question.raw.get("maxLength")
        if type(longest) is int and len(given) > longest > 0:
            self._findings.about("answer-long", question, where, found=len(given), max=longest)
        if question.type == "string" and "\n" in given:
            self._findings.about("answer-line", question, where)
        if kind == "uri":
            for start, form, name in (("urn:uuid:", UUID, "uuid"), ("urn:oid:", OID, "oid")):
                if given.startswith(start) and form.fullmatch(given) is None:
                    self._findings.about("answer-uri", question, where, value=shown(given), allowed=ALLOWED[name])

    def _least(self, question: Question, kind: str, given: Any, limit: Any, where: Place) -> None:
        self._bound(question, (kind, given), limit, where, _LEAST)

    def _most(self, question: Question, kind: str, given: Any, limit: Any, where: Place) -> None:
        self._bound(question, (kind, given), limit, where, _MOST)

    def _bound(self, question: Question, answer: tuple[str, Any], limit: Any, where: Place, bound: Bound) -> None:
        kind, given = answer
        amounts = kind == "Quantity" and isinstance(given, dict) and isinstance(limit, dict)
        if amounts and not measurable(given, limit, self._units):
            places = {"value": words(kind, given), "what": bound.name, "limit": words(kind, limit)}
            self._findings.about("answer-measure", question, where, **places)
        elif compared(kind, given, limit, self._units) == bound.outside:
            self._findings.about(bound.message, question, where, value=words(kind, given), limit=words(kind, limit))

    def _shortest(self, question: Question, kind: str, given: Any, limit: Any, where: Place) -> None:
        if isinstance(given, str) and type(limit) is int and len(given) < limit:
            self._findings.about("answer-short", question, where, found=len(given), min=limit)

    def _pattern(self, question: Question, kind: str, given: Any, limit: Any, where: Place) -> None:
        text = given if isinstance(given, str) else str(given) if kind in NUMBERS else None
        if text is None or not isinstance(limit, str) or len(text) > LONGEST_MATCHED:
            return
        pattern = self._compiled(limit)
        if pattern is not None and pattern.fullmatch(text) is None:
            example = question.extended(ENTRY_FORMAT)
            form = f" '{shown(example)}'" if isinstance(example, str) else ""
            self._findings.about(
                "answer-pattern", question, where, value=words(kind, given), format=form, regex=shown(limit)
            )

    def _compiled(self, regex: str) -> patterns.Pattern | None:
        """Return a pattern, `None` where it cannot be used, which is told where the Questionnaire is checked."""
        if regex not in self._patterns:
            try:
                self._patterns[regex] = patterns.compiled(regex)
            except FhirPathError:
                self._patterns[regex] = None
        return self._patterns[regex]

    def _digits(self, question: Question, kind: str, given: Any, limit: Any, where: Place) -> None:
        exponent = given.as_tuple().exponent if isinstance(given, Decimal) else 0
        if type(limit) is int and isinstance(exponent, int) and -exponent > limit:
            self._findings.about("answer-digits", question, where, value=words(kind, given), found=-exponent, max=limit)

    def _size(self, question: Question, kind: str, given: Any, limit: Any, where: Place) -> None:
        if kind != "Attachment" or type(limit) not in {int, Decimal}:
            return
        data, size = given.get("data"), given.get("size")
        found = len("".join(data.split())) * 3 // 4 - data.count("=") if isinstance(data, str) else size
        if type(found) is int and found > limit:
            self._findings.about("answer-size", question, where, found=found, max=limit)

    def _media(self, question: Question, kind: str, given: Any, limits: list[Any], where: Place) -> None:
        found = given.get("contentType") if kind == "Attachment" else None
        if isinstance(found, str) and not any(_is_media(found, one) for one in limits):
            allowed = ", ".join(shown(one) for one in limits)
            self._findings.about("answer-media", question, where, value=shown(found), allowed=allowed)

    def _unit_options(self, question: Question, kind: str, given: Any, limits: list[Any], where: Place) -> None:
        options = [one for one in limits if isinstance(one, dict)]
        if question.extended(UNIT_OPEN) in ("optionsOrType", "optionsOrString"):
            return
        if kind != "Quantity" or not options or any(_is_unit(given, one) for one in options):
            return
        allowed = ", ".join(shown(one.get("code", one.get("display", ""))) for one in options)
        self._findings.about("answer-unit", question, where, value=words(kind, given), allowed=allowed)

    def _unit_set(self, question: Question, kind: str, given: Any, limit: Any, where: Place) -> None:
        if kind != "Quantity" or not isinstance(limit, str):
            return
        code, system = given.get("code"), given.get("system", "")
        met = self._codes.member(limit, system, code) if isinstance(code, str) and isinstance(system, str) else False
        if met is False:
            self._findings.about("answer-unit", question, where, value=words(kind, given), allowed=shown(limit))
        elif met is None:
            self._findings.about("answer-set-unchecked", question, where, value=words(kind, given), set=shown(limit))

    def _profiles(self, question: Question, kind: str, given: Any, limits: list[Any], where: Place) -> None:
        """Of profiles only those that are types are held against the target: what else it conforms to is not at hand."""
        types = [one.removeprefix(FHIR) for one in limits if isinstance(one, str)]
        if types and all(one.isalpha() and one[0].isupper() for one in types):
            self._targets(question, kind, given, types, where)

    def _targets(self, question: Question, kind: str, given: Any, limits: list[Any], where: Place) -> None:
        if kind != "Reference":
            return
        reference, stated = given.get("reference", ""), given.get("type", "")
        found = (named(reference) if isinstance(reference, str) else "") or stated
        if isinstance(found, str) and found and found not in limits:
            allowed = " or ".join(shown(one) for one in limits)
            self._findings.about("answer-target", question, where, found=shown(found), allowed=allowed)


def _is_media(found: str, allowed: Any) -> bool:
    """Return whether a media type is an allowed one, such as `image/*`; parameters are left aside."""
    if not isinstance(allowed, str):
        return True
    one, other = found.partition(";")[0].strip().lower(), allowed.partition(";")[0].strip().lower()
    return one == other or (other.endswith("/*") and one.startswith(other[:-1])) or other == "*/*"


def _is_unit(quantity: Json, option: Json) -> bool:
    code = quantity.get("code")
    if code is None:
        return quantity.get("unit") is not None and quantity.get("unit") in (option.get("display"), option.get("code"))
    return bool(code == option.get("code") and quantity.get("system") in (None, option.get("system")))
