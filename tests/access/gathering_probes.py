"""The table of the leak harness: what is asked of operations that bring many resources together."""

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlencode

from fhir_server.search.params import params
from tests.access.ground import ABSENT, PARAMETERS, Ground, get
from tests.access.house import Json
from tests.access.twins import Probe


def gathering(kind: str, method: str, *, instance: bool = True) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of what brings everything about a patient, an encounter or a group: of hidden ones, and of one that is seen."""
    seen = {"Patient": ["ann"], "Encounter": ["ann-encounter"], "Group": []}[kind]

    def probes(ground: Ground) -> Iterator[Probe]:
        names = [name for one, name in ground.names if one == kind] if instance else [""]
        for name in [*names, *seen, ABSENT] if instance else names:
            place = f"{kind}/{name}/$everything" if name else f"{kind}/$everything"
            if method == "POST":
                for count in (3, 1000):
                    rows = [{"name": "_count", "valueInteger": count}]
                    yield Probe("POST", place, {**PARAMETERS, "parameter": rows})
                continue
            yield get(place)
            yield Probe("GET", f"{place}?_count=5", follows=True)
            yield get(f"{place}?_since=2000-01-01T00:00:00Z")
            for each in ground.types:
                yield get(f"{place}?_type={each}")

    return probes


def latest(method: str) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of what finds the last observations of each kind: by what only hidden ones have, and of hidden patients."""

    def probes(ground: Ground) -> Iterator[Probe]:
        found = [
            (param.code, value) for param, value in ground.values("Observation") if param.type in {"token", "date"}
        ]
        for patient in ("ann", "bo", ABSENT):
            for code, value in [("category", "laboratory,vital-signs"), *found]:
                asked = {"patient": f"Patient/{patient}", "max": "5", code: value}
                if method == "GET":
                    yield get(f"Observation/$lastn?{urlencode(asked)}")
                    continue
                rows = [{"name": name, "valueString": text} for name, text in asked.items()]
                yield Probe("POST", "Observation/$lastn", {**PARAMETERS, "parameter": rows})

    return probes


def statistics(method: str) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of what counts and averages observations, of hidden patients and of codes that hidden ones have."""

    def probes(ground: Ground) -> Iterator[Probe]:
        codes = {value for param, value in ground.values("Observation") if param.code == "code"} | {
            "http://loinc.org|8867-4"
        }
        for patient in ("ann", "bo", ABSENT):
            for system, _, code in (value.rpartition("|") for value in sorted(codes)):
                asked = {
                    "subject": f"Patient/{patient}",
                    "system": system or "urn:none",
                    "code": code,
                    "include": "true",
                }
                if method == "GET":
                    yield get(f"Observation/$stats?{urlencode(asked)}&statistic=total-count,average")
                    continue
                kinds = {"code": "valueString", "include": "valueBoolean"}
                rows: list[Json] = [
                    {"name": name, kinds.get(name, "valueUri"): text if name != "include" else True}
                    for name, text in asked.items()
                ]
                rows.append({"name": "statistic", "valueCode": "total-count"})
                yield Probe("POST", "Observation/$stats", {**PARAMETERS, "parameter": rows})

    return probes


def documents(method: str, *, instance: bool) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of what makes documents: of hidden compositions, and of one that there is not."""

    def probes(ground: Ground) -> Iterator[Probe]:
        for name in [*(name for kind, name in ground.names if kind == "Composition"), "ann-composition", ABSENT]:
            place = f"Composition/{name}/$document" if instance else "Composition/$document"
            if method == "GET":
                yield get(place if instance else f"{place}?id={name}")
                continue
            rows: list[Json] = [] if instance else [{"name": "id", "valueUri": f"Composition/{name}"}]
            yield Probe("POST", place, {**PARAMETERS, "parameter": rows} if rows else PARAMETERS)

    return probes


def queries(method: str, *, instance: bool) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of GraphQL: what is hidden by its id, by searches, by what refers to it, and by what it refers to."""

    def probes(ground: Ground) -> Iterator[Probe]:
        for place, query in _of_instances(ground) if instance else _of_the_record(ground):
            if method == "GET":
                yield get(f"{place}?{urlencode({'query': query})}")
            else:
                yield Probe("POST", place, {**PARAMETERS, "parameter": [{"name": "query", "valueString": query}]})

    return probes


def _of_instances(ground: Ground) -> Iterator[tuple[str, str]]:
    for kind, name in [*ground.names, ("Patient", ABSENT)]:
        yield f"{kind}/{name}/$graphql", "{ id meta { versionId } }"
    for kind in ground.types:
        if "patient" in params(kind, ground.definitions):
            rows = f"{kind}List(_reference: patient, _count: 100) {{ id }}"
            counted = f"{kind}Connection(_reference: patient) {{ count edges {{ resource {{ id }} }} }}"
            yield "Patient/ann/$graphql", f"{{ id {rows} {counted} }}"
    refers = "focus { resource(optional: true) { id } } performer { reference resource { id } }"
    yield "Observation/ann-lab/$graphql", f"{{ {refers} }}"


def _of_the_record(ground: Ground) -> Iterator[tuple[str, str]]:
    for kind, name in [*ground.names, ("Patient", ABSENT)]:
        yield "$graphql", f'{{ {kind}(id: "{name}") {{ id meta {{ lastUpdated }} }} }}'
    for kind in ground.types:
        yield "$graphql", f"{{ {kind}List(_count: 100) {{ id }} {kind}Connection(_count: 3) {{ count next }} }}"
        for param, value in ground.values(kind):
            if "\\" not in value and '"' not in value:
                field = f'{param.code.replace("-", "_")}: "{value}"'
                yield "$graphql", f"{{ {kind}Connection({field}) {{ count edges {{ resource {{ id }} }} }} }}"
    led = "focus { resource(optional: true) { id } } subject { resource { id } }"
    yield "$graphql", f"{{ ObservationList(_count: 100) {{ id {led} }} }}"


GATHERING: Mapping[tuple[str, str, str, bool], Callable[[Ground], Iterator[Probe]]] = {
    ("$everything", "GET", "Patient/{id}/$everything", False): gathering("Patient", "GET"),
    ("$everything", "POST", "Patient/{id}/$everything", False): gathering("Patient", "POST"),
    ("$everything", "GET", "Patient/$everything", False): gathering("Patient", "GET", instance=False),
    ("$everything", "POST", "Patient/$everything", False): gathering("Patient", "POST", instance=False),
    ("$everything", "GET", "Encounter/{id}/$everything", False): gathering("Encounter", "GET"),
    ("$everything", "POST", "Encounter/{id}/$everything", False): gathering("Encounter", "POST"),
    ("$everything", "GET", "Group/{id}/$everything", False): gathering("Group", "GET"),
    ("$everything", "POST", "Group/{id}/$everything", False): gathering("Group", "POST"),
    ("$lastn", "GET", "Observation/$lastn", False): latest("GET"),
    ("$stats", "GET", "Observation/$stats", False): statistics("GET"),
    ("$document", "GET", "Composition/{id}/$document", False): documents("GET", instance=True),
    ("$document", "GET", "Composition/$document", False): documents("GET", instance=False),
    ("$lastn", "POST", "Observation/$lastn", False): latest("POST"),
    ("$stats", "POST", "Observation/$stats", False): statistics("POST"),
    ("$document", "POST", "Composition/{id}/$document", False): documents("POST", instance=True),
    ("$document", "POST", "Composition/$document", False): documents("POST", instance=False),
    ("$graphql", "GET", "$graphql", False): queries("GET", instance=False),
    ("$graphql", "GET", "{type}/{id}/$graphql", False): queries("GET", instance=True),
    ("$graphql", "POST", "$graphql", False): queries("POST", instance=False),
    ("$graphql", "POST", "{type}/{id}/$graphql", False): queries("POST", instance=True),
}
