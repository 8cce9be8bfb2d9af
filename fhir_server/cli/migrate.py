"""`fhir-server migrate`: bring a record of an earlier release to the form of this one, ahead of the first start."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fhir_server.cli.options import AsJson, DataDir, expected_failures, print_json, quiet_logs, settings_of
from fhir_server.settings import Settings

if TYPE_CHECKING:
    from fhir_server.store.migrations import Step

Plan = Annotated[bool, typer.Option("--plan", help="Only tell which steps there are to do.")]


def migrate(*, data_dir: DataDir = None, plan: Plan = False, as_json: AsJson = False) -> None:
    """Bring a record of an earlier release to the form of this one, while servers of that release go on.

    A server does the same when it starts; this command does it at a time of your choice. Resources are never changed. There is no
    way back but restoring a backup.
    """
    settings = settings_of(data_dir)
    quiet_logs()
    with expected_failures():
        before, steps = asyncio.run(_migrate(settings, plan=plan))
    if as_json:
        rows = [{"version": step.to, "title": step.title} for step in steps]
        print_json({"version": before, "steps": rows, "applied": not plan})
        return
    console = Console(highlight=False)
    if not steps:
        console.print(f"The record has schema version {before}, which is that of this release. There is nothing to do.")
        return
    console.print(
        f"The record had schema version {before}." if not plan else f"The record has schema version {before}."
    )
    for step in steps:
        console.print(f"{'To do' if plan else 'Done'}, version {step.to}: {step.title}")


async def _migrate(settings: Settings, *, plan: bool) -> "tuple[int, tuple[Step, ...]]":
    from fhir_server.model.errors import NotFound
    from fhir_server.store import migrations, schema
    from fhir_server.store.client import check, connect
    from fhir_server.store.embedded import embedded

    async with embedded(settings) as connection, connect(connection.url, settings) as client:
        await check(client, settings.mongo.database)
        database = client[settings.mongo.database]
        await schema.refuse_restored(database)
        version = await schema.version_of(database)
        if version is None:
            raise NotFound(
                f"There is no record in database '{settings.mongo.database}'. Check FHIR_MONGO__DATABASE and the data directory."
            )
        schema.refuse_newer(database, version)
        if not plan:
            await migrations.migrate(database, version)
        return version, migrations.pending(version)
