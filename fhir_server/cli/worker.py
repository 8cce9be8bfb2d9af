"""`fhir-server worker`: background work in a process of its own, which answers no requests."""

import asyncio
import contextlib
import os
import signal
import sys
from typing import Annotated

import typer
from rich.console import Console

from fhir_server.cli.options import AsJson, DataDir, expected_failures, settings_of
from fhir_server.model import json
from fhir_server.settings import Jobs as JobSettings
from fhir_server.settings import Settings

ENDING = (signal.SIGINT, signal.SIGTERM)

Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", min=1, max=64, help="Jobs done at the same time.", show_default="the setting jobs.concurrency"
    ),
]


def worker(*, data_dir: DataDir = None, jobs: Jobs = None, as_json: AsJson = False) -> None:
    """Do the background work of a record until it is interrupted: exports, imports, notifications, indexing.

    Start as many as you like, on any machine that reaches the database. What is under way when one ends is given back, and what
    one that was killed had is taken over by another one from its last checkpoint.
    """
    settings = settings_of(data_dir)
    # What keeps servers from working on jobs is no reason for a worker not to.
    most = jobs or settings.jobs.concurrency or JobSettings().concurrency
    settings = settings.model_copy(update={"jobs": settings.jobs.model_copy(update={"concurrency": most})})
    with expected_failures():
        _work(settings, as_json=as_json)


def _work(settings: Settings, *, as_json: bool) -> None:
    import uvloop

    from fhir_server.http import logs

    logs.configure(settings.server.log_level)
    with contextlib.suppress(asyncio.CancelledError), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_interrupted(settings, as_json=as_json))


async def _until_interrupted(settings: Settings, *, as_json: bool) -> None:
    from fhir_server.http import garbage
    from fhir_server.main import working

    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    # Until the service stands, a signal ends the start.
    for number in ENDING:
        loop.add_signal_handler(number, task.cancel if task else over.set)
    async with working(settings):
        garbage.settle()
        for number in ENDING:
            loop.add_signal_handler(number, over.set)
        _announce(settings.jobs.concurrency, as_json=as_json)
        await over.wait()


def _announce(jobs: int, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.encode({"pid": os.getpid(), "jobs": jobs}).decode() + "\n")
        sys.stdout.flush()
    else:
        Console(highlight=False).print(
            f"[bold green]Aquifer works[/] on background jobs, {jobs} at a time. [dim]Ctrl-C stops it.[/]"
        )
