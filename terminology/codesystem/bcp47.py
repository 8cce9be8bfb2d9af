"""Tags of languages (`urn:ietf:bcp:47`): the grammar of RFC 5646 over the subtags that IANA registers."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

from terminology.codesystem.grammar import Grammar, Test, choice
from terminology.codesystem.provider import Filter
from terminology.concept import Concept, Designation, Head, Property, PropertyDefinition

URL = "urn:ietf:bcp:47"
MOST_CHARACTERS = 100

PARTS = {
    "language": "Language",
    "extlang": "Extended language",
    "script": "Script",
    "territory": "Region",
    "variant": "Variant",
    "extension": "Extension",
    "private": "Private use",
}
"""Parts of a tag as the parser names them, with what they are for people."""

FILTERS = {
    "language": "language",
    "ext-lang": "extlang",
    "script": "script",
    "region": "territory",
    "variant": "variant",
    "extension": "extension",
    "private-use": "private",
}
"""Parts of a tag, by the names that FHIR filters by."""

_REGIONS = (
    "ar-AE ar-EG ar-SA bn-BD bn-IN da-DK de-AT de-CH de-DE de-LI de-LU el-GR en-AU en-CA en-GB en-IE en-IN en-KE en-NG "
    "en-NZ en-SG en-US en-ZA es-AR es-CL es-CO es-ES es-MX es-PE es-US es-UY fi-FI fr-BE fr-CA fr-CH fr-FR fr-LU fy-NL "
    "he-IL hi-IN hu-HU id-ID it-CH it-IT ja-JP ko-KR ms-MY nb-NO nl-BE nl-NL nn-NO no-NO pl-PL pt-BR pt-PT ro-RO ru-RU "
    "sr-Cyrl sr-Latn sr-RS sv-FI sv-SE sw-KE ta-IN te-IN th-TH tr-TR uk-UA ur-PK vi-VN zh-CN zh-HK zh-Hans zh-Hant zh-SG "
    "zh-TW"
)


class Languages(Grammar):
    """All tags of languages that can be written. They are compared without regard to case."""

    def __init__(self) -> None:
        super().__init__(
            Head(
                url=URL,
                version=_version(),
                name="LanguageTags",
                title="Tags for identifying languages (BCP 47)",
                case_sensitive=False,
                compositional=True,
                language="en",
                value_set="http://hl7.org/fhir/ValueSet/all-languages",
                properties={
                    name: PropertyDefinition(name, "code", description=f"{PARTS[part]} of the tag")
                    for name, part in FILTERS.items()
                },
            ),
            self._known,
        )

    @property
    def filters(self) -> str:
        """The filters beside those on codes."""
        return f"{', '.join(FILTERS)} with exists, =, in, not-in, regex"

    def read(self, code: str) -> Concept | None:
        """Return what a tag means; an answer is spelled as RFC 5646 advises: `de-Latn-CH`."""
        parts = self._parts(code)
        if parts is None:
            return None
        names = [self._name(part, value) for part, value in parts]
        spelled = "-".join(_spelled(part, value) for part, value in parts)
        first, *others = names
        plain = f"{first} ({', '.join(others)})" if others else first
        told = ", ".join(f"{PARTS[part]}={name}" for (part, _), name in zip(parts[1:], others, strict=True))
        also = [f"{first} ({told})"] if told else self._subtags.get(("language", spelled), ())[1:]
        named = {part: name for name, part in FILTERS.items()}
        return Concept(
            spelled,
            plain,
            designations=tuple(Designation(one, "en") for one in also),
            properties=tuple(
                Property(named[part], _spelled(part, value), "code") for part, value in parts if part in named
            ),
        )

    def test(self, rule: Filter) -> Test | None:
        """Return how a filter is told of a concept."""
        if rule.property not in FILTERS:
            return None

        def said(concept: Concept) -> str | None:
            return next((str(one.value) for one in concept.properties if one.code == rule.property), None)

        return choice(rule, said)

    def _parts(self, code: str) -> list[tuple[str, str]] | None:
        """Return the parts of a tag with their subtags, the language first; `None` where it is no tag."""
        from langcodes.tag_parser import LanguageTagError, parse_tag

        if len(code) > MOST_CHARACTERS or "_" in code:
            return None
        if code.lower() in self._whole:
            return [("language", self._whole[code.lower()])]
        try:
            parts = [(str(part), str(value)) for part, value in parse_tag(code)]  # type: ignore[no-untyped-call]  # langcodes leaves it out
        except LanguageTagError:
            return None
        if parts[0][1].startswith("x-"):
            return [("private", parts[0][1])]
        variants = [value for part, value in parts if part == "variant"]
        singletons = [value[0] for part, value in parts if part == "extension"]
        once = all(len(set(values)) == len(values) for values in (variants, singletons))
        language = parts[0][1]
        known = all(
            part in {"extension", "private"}
            or ((part, value) in self._subtags and (part != "extlang" or language in self._prefixes.get(value, ())))
            for part, value in parts
        )
        return parts if once and known and sum(part == "extlang" for part, _ in parts) <= 1 else None

    def _name(self, part: str, value: str) -> str:
        """Return a subtag in English words."""
        return self._subtags.get((part, value), (value,))[0]

    def _known(self) -> Iterable[str]:
        """Return the languages of two letters, and those of regions that records are often written in."""
        yield from (value for part, value in self._subtags if part == "language" and len(value) == 2)
        yield from _REGIONS.split()

    @cached_property
    def _rows(self) -> list[dict[str, object]]:
        from langcodes.registry_parser import parse_registry

        return list(parse_registry())  # type: ignore[no-untyped-call]  # langcodes leaves it out

    @cached_property
    def _whole(self) -> Mapping[str, str]:
        """Tags that are registered as a whole (grandfathered), by their lower case."""
        rows = (row for row in self._rows if row["Type"] == "grandfathered")
        return {str(row["Tag"]).lower(): str(row["Tag"]) for row in rows}

    @cached_property
    def _prefixes(self) -> Mapping[str, tuple[str, ...]]:
        """Languages that an extended language belongs to."""
        found: dict[str, tuple[str, ...]] = {}
        for row in self._rows:
            if row["Type"] == "extlang":
                prefixes = row.get("Prefix")
                found[str(row["Subtag"])] = tuple(prefixes) if isinstance(prefixes, list) else ()
        return found

    @cached_property
    def _subtags(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """Names of subtags, by what they are part of; ranges for private use are written out."""
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        for row in self._rows:
            part = {"region": "territory", "grandfathered": "language"}.get(str(row["Type"]), str(row["Type"]))
            names = row.get("Description")
            words = tuple(str(one) for one in names) if isinstance(names, list) else ()
            for subtag in _written_out(str(row.get("Subtag") or row["Tag"])):
                found.setdefault((part, subtag), words or (subtag,))
        return found


def _spelled(part: str, value: str) -> str:
    return value.upper() if part == "territory" else value.title() if part == "script" else value


def _written_out(subtag: str) -> Iterable[str]:
    """Return the subtags of a range such as `qaa..qtz`, of which only the last two letters change; a single one as it is."""
    first, dots, last = subtag.partition("..")
    if not dots:
        return [subtag]
    low, high = first[-2:], last[-2:]
    a = "A" if low.isupper() or low[0].isupper() else "a"
    letters = [chr(ord(a) + place) for place in range(26)]
    pairs = [f"{one}{other}" for one in letters for other in letters]
    head = first[:-2]
    return [f"{head}{pair}" for pair in pairs if low <= pair <= high]


def _version() -> str:
    """Return the date of the registry."""
    from langcodes.util import data_filename

    path = data_filename("language-subtag-registry.txt")  # type: ignore[no-untyped-call]  # langcodes leaves it out
    with Path(str(path)).open(encoding="utf-8") as file:
        return file.readline().partition(": ")[2].strip()
