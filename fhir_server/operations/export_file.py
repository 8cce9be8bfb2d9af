"""$export-file: a file that an export or another job has made, for whoever has asked for it (Bulk Data Access, 2.1.4)."""

import hashlib
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from fhir_server.access.mandate import same
from fhir_server.access.principal import Principal
from fhir_server.context import Context
from fhir_server.model import instant
from fhir_server.model.errors import NotFound
from fhir_server.model.queue import JobRecord
from fhir_server.model.request import Content, FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from profiles.definitions.model import OperationDefinition, OperationParameter

KINDS = frozenset({"export", "import", "bulk-submit"})
"""Kinds of jobs whose files are handed out; they lie at `[kind]/[job]/[name]`."""

MEDIA: Mapping[str, str] = {
    "ndjson": "application/fhir+ndjson",
    "parquet": "application/vnd.apache.parquet",
}
"""Media types by the end of a name; files of other names are for this program itself."""

OVER = frozenset({"failed", "cancelled"})

DEFINITION = OperationDefinition(
    url=f"{OWN}export-file",
    code="export-file",
    resource=(),
    system=True,
    type=False,
    instance=False,
    affects_state=False,
    parameters=(
        OperationParameter("job", "in", 1, 1, "id"),
        OperationParameter("name", "in", 1, 1, "string"),
    ),
)

_NAME = re.compile(r"(?:[a-z]+-)?(?P<type>[A-Za-z]+)-[A-Za-z0-9-]+\.(?P<end>[a-z]+)", re.ASCII)


async def file(ctx: Context) -> FhirResponse:
    """Return 200 with the file; what is sent of it, and how, is up to whoever sends it.

    Raises:
        NotFound: There is no such file for this caller: made for somebody else, of a type that the caller may not read any more,
            given up, or older than files are kept.
    """
    values = parameters.read(ctx, DEFINITION)
    (job_id,), (name,) = values["job"], values["name"]
    known = _NAME.fullmatch(name)
    job = await ctx.queue.get(job_id)
    if job is None or known is None or known["end"] not in MEDIA or not _is_given(ctx, job, name, known["type"]):
        raise _absent(name)
    if ctx.repository.footprint:
        ctx.repository.footprint.detail |= {"job": job.id, "file": name}
    place = f"{job.kind}/{job.id}/{name}"
    stat = await ctx.files.stat(place)
    if stat is None:
        raise _absent(name)
    tag = hashlib.sha256(f"{place}\n{stat.size}\n{stat.modified.isoformat()}".encode()).hexdigest()[:32]
    headers = {"Last-Modified": instant.http_date(stat.modified)}
    if job.ended:
        headers["Expires"] = instant.http_date(job.ended + timedelta(hours=ctx.settings.bulk.hours))
    content = Content(MEDIA[known["end"]], stat.size, tag, partial(ctx.files.read, place))
    return FhirResponse(200, headers, content=content)


def _is_given(ctx: Context, job: JobRecord, name: str, named: str) -> bool:
    """Return whether the caller gets a file, if it is there."""
    scope = ctx.repository.scope
    if job.kind not in KINDS or job.state in OVER or not job.mandate or not same(job.mandate, scope):
        return False
    if not _is_as_wide(job.mandate, scope.principal):
        return False
    lasts = timedelta(hours=ctx.settings.bulk.hours)
    if job.ended and job.ended + lasts <= ctx.repository.store.clock.now():
        return False
    asked = set(job.payload.get("types", ()))
    listed = (job.result or job.checkpoint).get("outputs", ())
    within = next((set(row.get("types", ())) for row in listed if row.get("name") == name), set())
    # A file by patient has several types; one that tells of errors has none that was asked for.
    needed = within or ({named} & asked)
    return all(scope.shown(one).kind != "nothing" for one in needed)


def _is_as_wide(mandate: Mapping[str, Any], who: Principal) -> bool:
    """Return whether whoever asks works in the role of then, and is registered for all facilities of then."""
    then = frozenset(mandate["facilities"])
    return mandate["acting_as"] == who.acting_as and (not who.facilities or bool(then and then <= who.facilities))


def _absent(name: str) -> NotFound:
    return NotFound(
        f"There is no file '{name[:100]}' of this export for you. Its manifest lists those that there are, as long as they are kept.",
        expression="http.name",
    )


OPERATION = Operation(
    DEFINITION,
    file,
    letters=("",),
    methods=("GET",),
    summary="A file of an export, to whoever has asked for it",
    success=((200, "The file, or with a Range header 206 and a part of it."),),
    media=((200, ""),),
)
