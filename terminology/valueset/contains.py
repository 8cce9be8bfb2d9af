"""What an expansion tells of a concept: words in the languages wanted, designations, properties (R4 ValueSet.expansion.contains).

R4 has no element for properties: they are the extensions that R5 defines for its own elements.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from terminology.codesystem.provider import CodeSystemProvider
from terminology.codesystem.statements import STANDARD, STANDARDS_STATUS, designations, objects, text
from terminology.concept import Concept, Designation
from terminology.languages import Wanted, selected

Json = dict[str, Any]

Near = Mapping[str, Sequence[str]]
"""Codes right above (`parent`) and below (`child`) a concept."""

R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion."
OF_CONCEPT, OF_EXPANSION = f"{R5}contains.property", f"{R5}property"

CORE = "http://hl7.org/fhir/StructureDefinition/"
PREFERRED: Json = {
    "system": "http://terminology.hl7.org/CodeSystem/hl7TermMaintInfra",
    "code": "preferredForLanguage",
    "display": "Preferred For Language",
}

ANYWHERE = frozenset({f"{CORE}coding-sctdescid", f"{CORE}rendering-style", f"{CORE}rendering-xhtml"})
OF_SYSTEM = ANYWHERE | {f"{CORE}codesystem-alternate"}
"""Extensions of a concept that an expansion repeats, where a code system has them,"""
OF_VALUE_SET = ANYWHERE | {
    f"{CORE}valueset-deprecated",
    f"{CORE}valueset-concept-definition",
    STANDARDS_STATUS,
}
"""or a value set;"""
OF_DESIGNATION = ANYWHERE | {STANDARDS_STATUS}
"""and those of its designations."""

AS_PROPERTIES: Mapping[str, tuple[str, str, str]] = {
    f"{CORE}codesystem-label": ("label", "label", "valueString"),
    f"{CORE}valueset-label": ("label", "label", "valueString"),
    f"{CORE}codesystem-conceptOrder": ("order", "order", "valueDecimal"),
    f"{CORE}valueset-conceptOrder": ("order", "order", "valueDecimal"),
    f"{CORE}itemWeight": ("weight", "itemWeight", "valueDecimal"),
}
"""Extensions that are told as standard properties: name, its meaning, kind of value. What a value set says goes before."""


@dataclass(slots=True)
class Telling:
    """What is told of concepts.

    Attributes:
        languages: That are wanted.
        designations: Whether other words are told.
        tokens: Languages and uses of designations; empty for all.
        properties: Names of the properties that are told.
        language: Of the value set, which its own displays are in; empty where it is not stated.
        said: Properties that were told, with their meaning.
    """

    languages: Wanted
    designations: bool
    tokens: Sequence[str]
    properties: Sequence[str]
    language: str = ""
    said: dict[str, str] = field(default_factory=dict)

    async def near(self, provider: CodeSystemProvider | None, concepts: Sequence[Concept]) -> Mapping[int, Near]:
        """Return the codes right above and below concepts, by ordinal, as far as they are to be told."""
        known = [one for one in concepts if one.ordinal >= 0]
        found: dict[int, dict[str, Sequence[int]]] = {one.ordinal: {} for one in known}
        if provider is None or not {"parent", "child"} & set(self.properties):
            return {}
        for one in known:
            if "parent" in self.properties:
                found[one.ordinal]["parent"] = one.parents
            if "child" in self.properties:
                found[one.ordinal]["child"] = await provider.children(one.ordinal)
        wanted = sorted({at for places in found.values() for ordinals in places.values() for at in ordinals})
        codes = dict(zip(wanted, await provider.codes(wanted), strict=True))
        return {
            ordinal: {name: [codes[at] for at in ordinals] for name, ordinals in places.items()}
            for ordinal, places in found.items()
        }

    def row(
        self,
        system: str,
        version: str,
        provider: CodeSystemProvider | None,
        concept: Concept,
        listed: Json | None,
        *,
        near: Near | None = None,
    ) -> Json:
        """Return an element of `contains`.

        Args:
            system: URI of the code system.
            version: Of the code system, where it has to be told.
            provider: The code system, where it is here.
            concept: The concept.
            listed: What the value set says of it itself.
            near: Codes right above and below it, where they are told.
        """
        listed = listed or {}
        properties = list(self._properties(provider, concept, listed))
        for name, codes in (near or {}).items():
            properties += [(name, f"{STANDARD}{name}", "valueCode", code) for code in codes]
        for code, uri, _, _ in properties:
            self.said.setdefault(code, uri)
        extensions = [
            *(one for one in objects(listed.get("extension")) if text(one.get("url")) in OF_VALUE_SET),
            *(
                one
                for one in concept.extensions
                if text(one.get("url")) in OF_SYSTEM and not _has(listed, text(one.get("url")))
            ),
            *(_property(code, key, value) for code, _, key, value in properties),
        ]
        display, others = self._words(provider, concept, listed)
        row: Json = {"extension": extensions} if extensions else {}
        row["system"] = system
        if concept.abstract:
            row["abstract"] = True
        if concept.inactive:
            row["inactive"] = True
        if version:
            row["version"] = version
        row["code"] = concept.code
        if display:
            row["display"] = display
        if others:
            row["designation"] = [_designation(one) for one in others]
        return row

    @property
    def properties_said(self) -> list[Json]:
        """The extensions of the expansion that say what the properties mean."""
        return [
            {
                "url": OF_EXPANSION,
                "extension": [
                    {"url": "code", "valueCode": code},
                    *([{"url": "uri", "valueUri": uri}] if uri else []),
                ],
            }
            for code, uri in self.said.items()
        ]

    def _words(
        self, provider: CodeSystemProvider | None, concept: Concept, listed: Json
    ) -> tuple[str, list[Designation]]:
        """Return the words to show, and the designations beside them."""
        own = Designation(concept.display, provider.head.language if provider else "")
        shown = text(listed.get("display")).strip()
        words = [Designation(shown, self.language)] if shown and shown != concept.display else []
        words += [own] if own.value else []
        words += [*concept.designations, *designations(listed)]
        chosen = self.languages.chosen(words)
        display = chosen.value if chosen else ""
        if not (self.designations or self.tokens):
            return display, []
        others: dict[tuple[object, ...], Designation] = {}
        for word in selected((one for one in words if one is not chosen), self.tokens):
            use = word.use or (PREFERRED if word is own else None)
            told = Designation(word.value, word.language, use, word.extensions)
            key = (told.value, told.language, str(use))
            if not (chosen and use is None and (told.value, told.language) == (chosen.value, chosen.language)):
                others.setdefault(key, told)
        return display, list(others.values())

    def _properties(
        self, provider: CodeSystemProvider | None, concept: Concept, listed: Json
    ) -> Iterable[tuple[str, str, str, Any]]:
        """Yield name, meaning, JSON key and value of the properties that are told."""
        status = concept.status
        if status and status != "active":
            yield "status", f"{STANDARD}status", "valueCode", status
        told = set()
        for extension in (*objects(listed.get("extension")), *concept.extensions):
            found = AS_PROPERTIES.get(text(extension.get("url")))
            value = next((one for key, one in extension.items() if key.startswith("value")), None)
            if found and value is not None and found[0] not in told:
                told.add(found[0])
                number = found[2] == "valueDecimal" and isinstance(value, int)
                yield found[0], STANDARD + found[1], found[2], Decimal(value) if number else value
        for name in self.properties:
            if name == "definition":
                if concept.definition:
                    yield name, f"{STANDARD}definition", "valueString", concept.definition
                continue
            declared = provider.head.properties.get(name) if provider else None
            for one in concept.properties:
                if one.code == name and not (name == "status" and status):
                    yield name, declared.uri if declared else "", f"value{one.kind[0].upper()}{one.kind[1:]}", one.value


def _has(listed: Json, url: str) -> bool:
    return any(one.get("url") == url for one in objects(listed.get("extension")))


def _property(code: str, key: str, value: Any) -> Json:
    return {"url": OF_CONCEPT, "extension": [{"url": "code", "valueCode": code}, {"url": "value", key: value}]}


def _designation(word: Designation) -> Json:
    extensions = [one for one in word.extensions if text(one.get("url")) in OF_DESIGNATION]
    row: Json = {"extension": extensions} if extensions else {}
    if word.language:
        row["language"] = word.language
    if word.use:
        row["use"] = word.use
    return {**row, "value": word.value}
