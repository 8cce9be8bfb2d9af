"""What of a package becomes stored resources: which definitions, under which logical ids, and how they then read.

A definition keeps the id that its publisher gave it, as long as nothing else has it; several versions of a guide stand side by
side because the later one's ids end with its version. The content stays as it was published, but for the id,
for the version where a definition leaves that to the package, and for literal references: those to definitions of the package
lead to where these are served, all others to the publisher's pages.
"""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.intake import SHARED, Intake
from fhir_server.model import ids, reference
from fhir_server.model.errors import FhirError
from fhir_server.store import Served
from profiles.issue import Issue
from profiles.packages.package import Entry, Package
from profiles.validate.forgiving import NARRATIVE, forgivable

Json = dict[str, Any]
Key = tuple[str, str]

GUIDE = "ImplementationGuide"
PARAMETER = "SearchParameter"
NAMING_SYSTEM = "NamingSystem"
LONGEST = 64
DIGITS = 8
LONGEST_TEXT = 300
ANY_ID = "0"
"""Id of a definition until one is chosen; that of the publisher may be none that R4 knows."""
UNSTORABLE = "primitive-kind"
"""Message id of what cannot be stored whatever its elements say; it is not forgiven."""
MOST_BYTES = 8 * 2**20
"""JSON of one definition; as a document it is larger, and the database takes 16 MiB."""

_UNFIT = re.compile(r"[^A-Za-z0-9\-.]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A definition that can be served.

    Attributes:
        entry: It.
        resource: As far as it can be stored, with the references of its publisher.
        names: Ids that it may have, the best first.
    """

    entry: Entry
    resource: Json
    names: tuple[str, ...]

    @property
    def canonical(self) -> str:
        """URL; of a NamingSystem, which has none in R4, what references in the package call it."""
        return self.entry.url or self.published

    @property
    def published(self) -> str:
        """What references in the package call it."""
        return f"{self.entry.resource_type}/{self.entry.id}"


def candidates(package: Package, intake: Intake) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
    """Return the definitions of a package that can be served, and sentences on what is not or not as it should be.

    They are in the order in which they are to be written: search parameters together, what refers to others last.
    """
    notes: list[str] = []
    found = []
    for entry in _definitions(package, notes):
        resource = _sound(entry, intake, notes)
        if resource is not None:
            found.append(Candidate(entry, resource, tuple(dict.fromkeys(_names(entry)))))
    own = {one.published for one in found}

    def place(one: Candidate) -> tuple[bool, bool, str, str]:
        refers = any(row["reference"] in own for _, row in reference.walk(one.resource, ""))
        return refers, one.entry.resource_type == PARAMETER, one.entry.resource_type, one.entry.url

    return tuple(sorted(found, key=place)), tuple(notes)


def choose(found: Sequence[Candidate], taken: Collection[Key]) -> tuple[Served, ...]:
    """Return under which ids the candidates are served, in their order.

    Args:
        found: The candidates.
        taken: (type, id) of what is there already.
    """
    used: set[Key] = set(taken)
    chosen = []
    for one in found:
        kind = one.entry.resource_type
        name = next(name for name in one.names if (kind, name) not in used)
        used.add((kind, name))
        chosen.append(Served(kind, name, one.canonical, one.entry.version))
    return tuple(chosen)


def resources(
    package: Package, found: Sequence[Candidate], served: Sequence[Served], own: str = ""
) -> list[tuple[Served, Json]]:
    """Return what is stored: the candidates under the ids chosen, in that order.

    Args:
        package: The package.
        found: Its candidates.
        served: What `choose` returned.
        own: Base of this server, where it is known.
    """
    by_canonical = {(one.entry.resource_type, one.canonical, one.entry.version): one for one in found}
    pairs = [(one, by_canonical.get((one.resource_type, one.url, one.version))) for one in served]
    present = [(one, candidate) for one, candidate in pairs if candidate is not None]
    lead = {candidate.published: f"{one.resource_type}/{one.id}" for one, candidate in present}
    base = _base(package, own)
    return [
        (one, {**_led(candidate.resource, lead, base, own), "id": one.id, **_version(candidate)})
        for one, candidate in present
    ]


def _definitions(package: Package, notes: list[str]) -> Iterator[Entry]:
    """Yield the definitions that are served; examples and what R4 has no type for are not."""
    examples = _examples(package)
    unknown: set[str] = set()
    for entries in package.definitions.values():
        seen: set[Key] = set()
        for entry in entries:
            key = (entry.resource_type, entry.version)
            if entry.resource_type not in SHARED:
                unknown.add(entry.resource_type)
            elif f"{entry.resource_type}/{entry.id}" not in examples and key not in seen:
                seen.add(key)
                yield entry
    systems = [entry for entry in package.instances if entry.resource_type == NAMING_SYSTEM]
    yield from (entry for entry in systems if entry.id and f"{NAMING_SYSTEM}/{entry.id}" not in examples)
    notes += [f"{name} is no type of definitions in FHIR R4, so those are not served." for name in sorted(unknown)]


def _examples(package: Package) -> Collection[str]:
    """Return what the guide itself says are examples, as `Type/id`."""
    found: set[str] = set()
    for entry in package.of_type(GUIDE):
        definition = entry.read().get("definition")
        rows = definition.get("resource") if isinstance(definition, dict) else None
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and (row.get("exampleBoolean") is True or "exampleCanonical" in row):
                named = row.get("reference")
                text = named.get("reference") if isinstance(named, dict) else None
                if isinstance(text, str):
                    found.add(text)
    return found


def _sound(entry: Entry, intake: Intake, notes: list[str]) -> Json | None:
    """Return the resource as far as it can be stored; `None` where it cannot. What is wrong with it is noted."""
    try:
        resource = {**entry.read(), "id": ANY_ID}
    except RecursionError:
        notes.append(f"{entry.file} is not served. It is nested too deeply.")
        return None
    found = _findings(resource, intake)
    if any(one.message_id.startswith(NARRATIVE) for one in found) and "text" in resource:
        notes.append(f"{entry.file}: its narrative is left out. {_shown(found[0])}")
        resource = {name: value for name, value in resource.items() if name != "text"}
        found = _findings(resource, intake)
    refusing = [one for one in found if not forgivable(one, entry.resource_type)]
    if refusing:
        notes.append(f"{entry.file} is not served. {_shown(refusing[0])}")
        return None
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        notes.append(f"{entry.file} is served as published, although it is not valid. {_shown(found[0])}{more}")
    return resource


def _findings(resource: Json, intake: Intake) -> list[Issue]:
    """Return what fails a definition, of what can be forgiven and of what cannot."""
    try:
        found = [one for one in intake.check(resource) if one.fails]
        size = len(intake.draft(resource["resourceType"], ANY_ID, resource, published=True).wire)
    except FhirError as error:
        return [_unstorable(str(error))]
    except (TypeError, ValueError, AttributeError, KeyError, IndexError, RecursionError) as error:
        return [_unstorable(f"Its values cannot be read ({type(error).__name__}).")]
    if size > MOST_BYTES:
        return [_unstorable(f"It has {size} bytes, and a resource that is stored may have {MOST_BYTES}.")]
    return found


def _unstorable(text: str) -> Issue:
    return Issue("error", "structure", text, "", UNSTORABLE)


def _names(entry: Entry) -> Iterator[str]:
    """Yield the ids that a definition may have, the best first; the last is nobody else's."""
    own = _fit(entry.id) or _fit(entry.url.rstrip("/").rsplit("/", 1)[-1])
    version = _fit(entry.version)
    mark = hashlib.sha256(f"{entry.url}|{entry.version}".encode()).hexdigest()
    if ids.valid(own):
        yield own
    if own and version and len(own) + len(version) < LONGEST:
        yield f"{own}-{version}"
    yield f"{own[: LONGEST - DIGITS - 1]}-{mark[:DIGITS]}".lstrip("-")
    yield mark


def _version(one: Candidate) -> Json:
    return {} if one.entry.resource_type == NAMING_SYSTEM else {"version": one.entry.version}


def _fit(text: str) -> str:
    return _UNFIT.sub("-", text).strip("-.")


def _base(package: Package, own: str) -> str:
    """Return the base of the guide's own pages, without slash at the end; a name where those would be here."""
    guides = [entry.url.partition(f"/{GUIDE}/") for entry in package.of_type(GUIDE)]
    found = package.canonical.rstrip("/") or next((base for base, slash, _ in guides if slash), "")
    return found if "://" in found and found != own.rstrip("/") else f"urn:package:{package.name}"


def _led(value: Any, lead: Mapping[str, str], base: str, own: str) -> Any:
    """Return a value with its literal references leading somewhere."""
    if isinstance(value, list):
        return [_led(child, lead, base, own) for child in value]
    if not isinstance(value, dict):
        return value
    made = {name: _led(child, lead, base, own) for name, child in value.items()}
    text = value.get("reference")
    if isinstance(text, str) and (local := reference.local(text, own)):
        made["reference"] = lead.get(str(local), f"{base}/{local}")
    return made


def _shown(issue: Issue) -> str:
    text = issue.text if len(issue.text) <= LONGEST_TEXT else f"{issue.text[: LONGEST_TEXT - 1]}…"
    return f"{issue.expression}: {text}" if issue.expression else text
