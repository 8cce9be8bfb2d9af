"""Media types (`urn:ietf:bcp:13`): type, subtype and parameters by the grammar of RFC 6838 and RFC 2045."""

import mimetypes
import re
from collections.abc import Iterable

from terminology.codesystem.grammar import Grammar, Test, choice
from terminology.codesystem.provider import Filter
from terminology.concept import Concept, Head, Property, PropertyDefinition

URL = "urn:ietf:bcp:13"
MOST_CHARACTERS = 1_000

_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_CODE = re.compile(rf"({_NAME})/({_NAME})((?:[ \t]*;[ \t]*{_WORD}=(?:{_WORD}|\"(?:[^\"\\]|\\.)*\"))*)", re.ASCII)
_OF_HEALTH = (
    "application/fhir+json", "application/fhir+xml", "application/dicom", "application/hl7-v2", "application/cda+xml",
    "application/pdf", "application/json", "application/xml", "text/cql", "text/fhirpath", "text/markdown", "text/csv",
    "text/plain;charset=utf-8", "image/heic", "image/webp", "video/mp4", "audio/ogg",
)  # fmt: skip


class MediaTypes(Grammar):
    """All media types that can be written. Types and subtypes are compared without regard to case."""

    def __init__(self) -> None:
        properties = {
            name: PropertyDefinition(name, "code", description=description)
            for name, description in (("type", "What is before the slash"), ("subtype", "What is after the slash"))
        }
        super().__init__(
            Head(
                url=URL,
                name="MediaTypes",
                title="Media types (BCP 13)",
                case_sensitive=False,
                compositional=True,
                value_set="http://hl7.org/fhir/ValueSet/mimetypes",
                properties=properties,
            ),
            _known,
        )

    @property
    def filters(self) -> str:
        """The filters beside those on codes."""
        return "type and subtype with =, in, not-in, regex, exists"

    def read(self, code: str) -> Concept | None:
        """Return what a code means."""
        match = _CODE.fullmatch(code) if len(code) <= MOST_CHARACTERS else None
        if match is None:
            return None
        kind, subtype = match[1].lower(), match[2].lower()
        spelled = f"{kind}/{subtype}{match[3]}"
        properties = (Property("type", kind, "code"), Property("subtype", subtype, "code"))
        return Concept(spelled, spelled, properties=properties)

    def test(self, rule: Filter) -> Test | None:
        """Return how a filter is told of a concept."""
        place = {"type": 0, "subtype": 1}.get(rule.property)
        if place is None:
            return None
        return choice(rule, lambda concept: str(concept.properties[place].value))


def _known() -> Iterable[str]:
    return sorted({*mimetypes.types_map.values(), *_OF_HEALTH})
