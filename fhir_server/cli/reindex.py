"""`fhir-server reindex`: make the index entries of stored resources again."""

import asyncio
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, TaskID

from fhir_server.cli.load import bar
from fhir_server.cli.options import AsJson, DataDir, complain, expected_failures, print_json, quiet_logs, settings_of
from fhir_server.cli.posting import BASE, reason
from fhir_server.model.queue import JobRecord
from fhir_server.settings import Settings

LOOK_EVERY = 0.2

Types = Annotated[
    list[str] | None,
    typer.Option("--type", help="Resource type; may be given several times.", show_default="all types"),
]
Wait = Annotated[bool, typer.Option("--wait", help="Stay until it is done, and do it here if no server does.")]


def reindex(*, data_dir: DataDir = None, types: Types = None, wait: Wait = False, as_json: AsJson = False) -> None:
    """Make the index entries of stored resources again, of all types or of some.

    It is queued for the servers of this record, which do it beside their other work, and goes on after a restart. Resources keep
    their versions. Exit code 1 when it failed or was cancelled.
    """
    settings = settings_of(data_dir)
    quiet_logs()
    with expected_failures():
        job = asyncio.run(_reindex(settings, types or [], wait=wait))
    if as_json:
        print_json(_as_json(job))
    else:
        _say(job)
    if job.state in {"failed", "cancelled"}:
        raise typer.Exit(1)


async def _reindex(settings: Settings, types: list[str], *, wait: bool) -> JobRecord:
    from fhir_server.main import running, working
    from fhir_server.model.request import FhirRequest

    async with (working if wait else running)(settings) as service:
        query = tuple(("type", name) for name in types)
        answer = await service.dispatch(FhirRequest("POST", ("$reindex",), BASE, query))
        if answer.status != 202:
            complain(reason(answer.resource))
            raise typer.Exit(1)
        job_id = answer.resource["parameter"][0]["valueId"]
        queue = service.store.jobs
        job = await queue.get(job_id)
        with bar() as progress:
            task = progress.add_task("reindex", total=None)
            while wait and job is not None and job.is_live:
                _show(progress, task, job)
                await asyncio.sleep(LOOK_EVERY)
                job = await queue.get(job_id)
        if job is None:  # it takes a month for a job to be forgotten
            raise RuntimeError("the job is gone")
        return job


def _show(progress: Progress, task: TaskID, job: JobRecord) -> None:
    at: dict[str, Any] = dict(job.progress)
    progress.update(task, completed=at.get("done", 0), total=at.get("total"), description=at.get("type") or "reindex")


def _as_json(job: JobRecord) -> dict[str, Any]:
    return {
        "job": job.id,
        "state": job.state,
        "types": list(job.payload["types"]),
        **{name: value for name, value in {**job.progress, **job.result}.items() if name != "type"},
        **({"error": job.error} if job.error else {}),
    }


def _say(job: JobRecord) -> None:
    console = Console(highlight=False)
    if job.state == "done":
        text = f"{job.result['done']} resources were looked at, {job.result['changed']} had other entries than they should."
        console.print(text)
        for code in job.result["active"]:
            console.print(f"The search parameter '{code}' is active.")
    elif job.is_live:
        console.print(
            f"Job {job.id} is {job.state}. A server does it; see $reindex-status?job={job.id}, or add --wait."
        )
    else:
        complain(job.error or "somebody stopped it", job.state)
