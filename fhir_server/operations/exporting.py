"""The kick-off of a bulk export: its parameters, who may, and the job that it queues (Bulk Data Access, 2.1: kick-off)."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote, urlencode

from fhir_server.access.mandate import same
from fhir_server.bulk import parquet, task
from fhir_server.bulk.reading import asked_at
from fhir_server.bulk.sections import PATIENT, PROVENANCE, offered
from fhir_server.bulk.task import Level, Task
from fhir_server.context import Context
from fhir_server.model import ids
from fhir_server.model.errors import BadRequest, Forbidden, NotFound, TooMany
from fhir_server.model.query import ANYTHING
from fhir_server.model.queue import LIVE, JobRecord
from fhir_server.model.request import PRESENTATION, FhirResponse, Pairs
from fhir_server.operations import Operation
from fhir_server.repository.cohorts import members, named
from fhir_server.search.escapes import nearest, shown
from fhir_server.search.parse import parse
from fhir_server.search.results import RESULTS
from fhir_server.search.text import TEXTS
from profiles.definitions.model import OperationDefinition, OperationParameter
from profiles.primitives import SHAPES

FORMATS: Mapping[str, str] = {
    **dict.fromkeys(("application/fhir+ndjson", "application/ndjson", "ndjson"), "ndjson"),
    **dict.fromkeys((parquet.MEDIA, "parquet"), parquet.SUFFIX),
}
ASSOCIATED = ("LatestProvenanceResources", "RelevantProvenanceResources")
SEPARATE = "separate-export-status"
RETRY_AFTER = "1"
MOST_QUEUED = 1_000
"""Jobs that are looked through for those of one client."""

PARAMETERS = (
    OperationParameter("_outputFormat", "in", 0, 1, "string"),
    OperationParameter("_since", "in", 0, 1, "instant"),
    OperationParameter("_until", "in", 0, 1, "instant"),
    OperationParameter("_type", "in", 0, None, "string"),
    OperationParameter("_elements", "in", 0, None, "string"),
    OperationParameter("_typeFilter", "in", 0, None, "string"),
    OperationParameter("allowPartialManifests", "in", 0, 1, "boolean"),
)
OF_PATIENTS = (
    *PARAMETERS,
    OperationParameter("organizeOutputBy", "in", 0, 1, "string"),
    OperationParameter("patient", "in", 0, None, "Reference"),
    OperationParameter("includeAssociatedData", "in", 0, None, "code"),
)

_FILTERS = re.compile(r",(?=[A-Z][A-Za-z]+\?)")


@dataclass(slots=True)
class Asked:
    """What is read of a request, parameter by parameter."""

    ctx: Context
    level: Level
    types: list[str] = field(default_factory=list)
    filters: list[tuple[str, Pairs]] = field(default_factory=list)
    elements: list[tuple[str, str]] = field(default_factory=list)
    since: datetime | None = None
    until: datetime | None = None
    by_patient: bool = False
    partial: bool = False
    latest: bool = False
    suffix: str = "ndjson"
    patients: list[str] = field(default_factory=list)
    associated: bool = False


def operation(level: Level, name: str, resource: str, of: str) -> Operation:
    """Return the operation that begins exports of a level.

    Args:
        level: Which.
        name: End of its canonical URL.
        resource: The type that it is asked of; `Resource` where it is asked of the whole.
        of: What it exports, in words.
    """
    definition = OperationDefinition(
        url=f"http://hl7.org/fhir/uv/bulkdata/OperationDefinition/{name}",
        code="export",
        resource=(resource,),
        system=level == "system",
        type=level == "patient",
        instance=level == "group",
        affects_state=False,
        parameters=PARAMETERS if level == "system" else OF_PATIENTS,
    )
    return Operation(
        definition,
        partial(kick_off, level=level),
        # Who reads a Group's members need not be able to read the Group: virtual ones are nowhere stored.
        letters=("", "") if level == "group" else ("r", "r"),
        methods=("GET", "POST"),
        summary=f"Export {of} as files, in the background",
        success=((202, "The export has begun; `Content-Location` tells where to ask for it."),),
        refusals=(429,),
        media=((202, ""),),
    )


async def kick_off(ctx: Context, level: Level) -> FhirResponse:
    """Return 202 with the place where the export is asked for (`Content-Location`).

    Raises:
        BadRequest: A parameter that is not known, or with a value that is not valid.
        Forbidden: The grant does not cover a type that is asked for, or is a patient's.
        TooMany: This client has too many exports under way.
    """
    scope = ctx.repository.scope
    if scope.principal.audience == "patient":
        raise Forbidden(
            "Bulk exports are for systems and for staff. Patients read their record by $everything and by searches."
        )
    asked, ignored = Asked(ctx, level), list[str]()
    readers = READERS if level == "system" else {**READERS, **OF_PATIENT_READERS}
    for name, value in (*_of_url(ctx), *_of_body(ctx)):
        reader = readers.get(name)
        try:
            (reader or _unknown(name, readers))(asked, value)
        except Passable as passable:
            if not _is_lenient(ctx):
                raise BadRequest(
                    f"{passable} Leave it out, or have it passed over with the header Prefer: handling=lenient.",
                    expression=f"http.{shown(name)}",
                ) from None
            ignored.append(f"{passable} It was passed over.")
    if level == "group":
        await named(ctx.repository, ctx.id)
    await _refuse_absent(asked)
    wanted = Task(
        level,
        _url(ctx),
        ctx.base,
        await asked_at(ctx.repository),
        _types(asked),
        ctx.id,
        asked.since,
        asked.until,
        filters=tuple(asked.filters),
        elements=tuple(asked.elements),
        latest=asked.latest,
        suffix=asked.suffix,
        most_bytes=ctx.settings.bulk.file_bytes,
        patients=tuple(sorted(set(asked.patients))),
        by_patient=asked.by_patient,
        partial=asked.partial,
        ignored=tuple(ignored),
    )
    await _refuse_many(ctx)
    job = await ctx.queue.enqueue(task.KIND, wanted.payload(), mandate=ctx.mandate())
    headers = {"Content-Location": f"{ctx.base}/$export-status?job={job.id}{separate(ctx)}", "Retry-After": RETRY_AFTER}
    applied = [name for name in ("handling=lenient", SEPARATE) if name in preferences(ctx)]
    if applied:
        headers["Preference-Applied"] = ", ".join(applied)
    return FhirResponse(202, headers)


async def own(ctx: Context, job_id: str) -> JobRecord:
    """Return an export of the caller that was neither stopped nor given up.

    Raises:
        NotFound: There is none of this id, or it is somebody else's.
    """
    job = await ctx.queue.get(job_id)
    if (
        job is None
        or job.kind != task.KIND
        or job.cancel_requested
        or job.state == "cancelled"
        or not same(job.mandate, ctx.repository.scope)
    ):
        raise absent(job_id)
    return job


def absent(job_id: str) -> NotFound:
    """Return the error for an export that is not there."""
    return NotFound(
        f"There is no export {job_id}. It was stopped, its files are no longer kept, or it is not of this client.",
        expression="http.job",
    )


def _types(asked: Asked) -> tuple[str, ...]:
    """Return the types that are exported: those that were asked for, or all that the grant reaches."""
    rights = asked.ctx.repository.rights
    if asked.associated and asked.types and PROVENANCE not in asked.types:
        asked.types.append(PROVENANCE)
    for name in asked.types:
        rights.require([name], "r")
    for name, _ in asked.filters:
        if asked.types and name not in asked.types:
            raise BadRequest(
                f"A _typeFilter is for {name}, which is not among the types of _type. Add it there, or leave the filter out.",
                expression="http._typeFilter",
            )
    types = offered(asked.level, asked.ctx.definitions)
    for name in asked.types:
        if name not in types:
            raise BadRequest(
                f"{name} is not part of the records of patients, nor what they refer to. Export it with $export of the system.",
                expression="http._type",
            )
    return tuple(sorted(asked.types or (name for name in types if rights.has(name, "r"))))


async def _refuse_absent(asked: Asked) -> None:
    """Refuse patients who are not there, or not in the Group.

    Raises:
        BadRequest: Some are not.
    """
    if not asked.patients:
        return
    ctx, wanted = asked.ctx, set(asked.patients)
    found = await ctx.repository.rights.within([(PATIENT, one) for one in sorted(wanted)], "r")
    present = await ctx.repository.store.exists(found, lambda _: ANYTHING)
    missing = wanted - {one for _, one in present}
    if not missing and asked.level == "group":
        missing, after, moment = set(wanted), "", ctx.repository.store.clock.now()
        while missing and (some := await members(ctx.repository, ctx.id, after, moment)):
            missing -= set(some)
            after = some[-1]
    if missing:
        where = "in the Group" if asked.level == "group" else "here"
        raise BadRequest(
            f"There is no {PATIENT}/{min(missing)} {where} that could be exported. Leave it out.",
            expression="http.patient",
        )


def _unknown(name: str, known: Iterable[str]) -> NoReturn:
    raise Passable(f"$export has no parameter '{shown(name)}' here.{nearest(name, known)}")


class Passable(Exception):
    """Something of a request that lenient handling passes over."""


async def _refuse_many(ctx: Context) -> None:
    """Refuse a client that has too many exports under way."""
    most = ctx.settings.bulk.exports
    jobs = await ctx.queue.jobs(task.KIND, LIVE, MOST_QUEUED)
    own = [job for job in jobs if same(job.mandate, ctx.repository.scope) and not job.cancel_requested]
    if len(own) >= most:
        raise TooMany(
            f"{len(own)} exports of this client are under way, and {most} are allowed at a time. Wait for one to end, or "
            "stop one with DELETE at its status URL.",
            headers={"Retry-After": "10"},
        )


def _since(asked: Asked, value: Any) -> None:
    asked.since = _instant("_since", value)


def _until(asked: Asked, value: Any) -> None:
    asked.until = _instant("_until", value)


def _instant(name: str, value: Any) -> datetime:
    # A plus sign that was not percent-encoded arrives as a space.
    text = value.replace(" ", "+") if isinstance(value, str) else value
    if not SHAPES["instant"](text):
        raise BadRequest(
            f"'{shown(str(value))}' is not an instant. Write {name} like 2026-01-31T08:15:00.000Z, with seconds and time zone.",
            expression=f"http.{name}",
        )
    return datetime.fromisoformat(text)


def _format(asked: Asked, value: Any) -> None:
    text = unquote(str(value)).replace(" ", "+").partition(";")[0]
    asked.suffix = FORMATS.get(text, "")
    if asked.suffix == parquet.SUFFIX:
        parquet.require()
    if not asked.suffix:
        raise BadRequest(
            f"'{shown(str(value))}' is not a format of exports. Take {task.NDJSON}, or leave _outputFormat out.",
            expression="http._outputFormat",
        )


def _type(asked: Asked, value: Any) -> None:
    known = asked.ctx.definitions.resource_types
    for name in _parts(value):
        if name not in known:
            raise BadRequest(
                f"'{shown(name)}' in _type is not a resource type of FHIR R4.{nearest(name, known)}",
                expression="http._type",
            )
        if name not in asked.types:
            asked.types.append(name)


def _elements(asked: Asked, value: Any) -> None:
    definitions = asked.ctx.definitions
    for text in _parts(value):
        kind, dot, name = text.partition(".") if "." in text else ("", "", text)
        if dot and kind not in definitions.resource_types:
            raise BadRequest(
                f"'{shown(text)}' in _elements is no element of a resource type: write [type].[element] or [element].",
                expression="http._elements",
            )
        types = [kind] if kind else definitions.resource_types
        rows = [row for each in types for row in definitions.types[each].elements.values()]
        names = {row.name for row in rows} | {row.choice for row in rows if row.choice}
        if name not in names:
            raise BadRequest(
                f"'{shown(text)}' in _elements is not a top-level element{f' of {kind}' if kind else ''}.{nearest(name, names)}",
                expression="http._elements",
            )
        asked.elements.append((kind, name))


def _type_filter(asked: Asked, value: Any) -> None:
    ctx = asked.ctx
    for text in _FILTERS.split(str(value)):
        name, mark, query = text.partition("?")
        if not mark or name not in ctx.definitions.resource_types:
            raise BadRequest(
                f"'{shown(text)}' is no filter: write _typeFilter=[type]?[search], percent-encoded, such as "
                "Observation%3Fcode%3D85354-9.",
                expression="http._typeFilter",
            )
        pairs = tuple(parse_qsl(query, keep_blank_values=True))
        for code in (pair[0].partition(":")[0] for pair in pairs):
            if code in RESULTS or code in TEXTS:
                raise BadRequest(
                    f"'{shown(code)}' cannot be part of a _typeFilter: it takes parameters that select resources by their values.",
                    expression="http._typeFilter",
                )
        reading = ctx.repository.pages.reading
        request = parse(name, pairs, ctx.definitions, ctx.settings.search, strict=True, reading=reading)
        ctx.repository.rights.require([request.resource_type], "s")
        asked.filters.append((name, pairs))


def _organize(asked: Asked, value: Any) -> None:
    if value != "Patient":
        raise BadRequest(
            f"Files can be organized by Patient, not by '{shown(str(value))}'. Leave organizeOutputBy out for files by type.",
            expression="http.organizeOutputBy",
        )
    asked.by_patient = True


def _partial(asked: Asked, value: Any) -> None:
    if value not in {True, False, "true", "false"}:
        raise BadRequest("allowPartialManifests is true or false.", expression="http.allowPartialManifests")
    asked.partial = value in {True, "true"}


def _patient(asked: Asked, value: Any) -> None:
    text = value.get("reference") if isinstance(value, dict) else value
    name, _, one = str(text).removeprefix(f"{asked.ctx.base}/").partition("/")
    if asked.ctx.request.method != "POST" or not isinstance(value, dict):
        raise BadRequest(
            "'patient' is a Reference: send it in the body of a POST, as valueReference of a Parameters resource.",
            expression="http.patient",
        )
    if name != PATIENT or not ids.valid(one):
        raise BadRequest(
            f"'{shown(str(text))}' is no reference to a Patient of this server.", expression="http.patient"
        )
    asked.patients.append(one)


def _associated(asked: Asked, value: Any) -> None:
    for name in _parts(value.get("code") if isinstance(value, dict) else value):
        if name not in ASSOCIATED:
            raise Passable(
                f"'{shown(name)}' is no data that can be included. There are {' and '.join(ASSOCIATED)}; without the "
                "parameter all Provenance of what is exported comes along."
            )
        asked.latest = name == ASSOCIATED[0]
        asked.associated = True


Reader = Callable[[Asked, Any], None]

READERS: Mapping[str, Reader] = {
    "_outputFormat": _format,
    "_since": _since,
    "_until": _until,
    "_type": _type,
    "_elements": _elements,
    "_typeFilter": _type_filter,
    "allowPartialManifests": _partial,
}
OF_PATIENT_READERS: Mapping[str, Reader] = {
    "patient": _patient,
    "includeAssociatedData": _associated,
    "organizeOutputBy": _organize,
}


def _parts(value: Any) -> list[str]:
    return [part.strip() for part in str(value).split(",") if part.strip()]


def _of_url(ctx: Context) -> Iterable[tuple[str, Any]]:
    return ((name, value) for name, value in ctx.request.query if name not in PRESENTATION and value)


def _of_body(ctx: Context) -> Iterator[tuple[str, Any]]:
    """Yield the parameters of a Parameters resource."""
    if not ctx.request.body and ctx.request.resource is None:
        return
    body = ctx.resource()
    rows = body.get("parameter", [])
    if body.get("resourceType") != "Parameters" or not isinstance(rows, list):
        raise BadRequest("The body of a kick-off is a Parameters resource.", expression="resourceType")
    for row in rows:
        values = [value for key, value in row.items() if key.startswith("value")] if isinstance(row, dict) else []
        if len(values) != 1 or not isinstance(row.get("name"), str):
            raise BadRequest(
                "Each parameter of a kick-off has a name and one value[x]; repeat it for several values.",
                expression="Parameters.parameter",
            )
        yield row["name"], values[0]


def _is_lenient(ctx: Context) -> bool:
    return "handling=lenient" in preferences(ctx)


def preferences(ctx: Context) -> list[str]:
    """Return the parts of the header Prefer."""
    return [part.strip().replace('"', "") for part in re.split("[,;]", ctx.header("prefer")) if part.strip()]


def separate(ctx: Context) -> str:
    """Return what a status URL ends with whose answers are to tell their own status and that of the export apart."""
    return "&separate=true" if SEPARATE in preferences(ctx) else ""


def _url(ctx: Context) -> str:
    """Return the URL that was asked."""
    query = urlencode(ctx.request.query)
    return "/".join((ctx.base, *ctx.request.path)) + (f"?{query}" if query else "")
