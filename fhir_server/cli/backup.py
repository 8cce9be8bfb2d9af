"""`fhir-server backup` and `fhir-server restore`."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from fhir_server.cli.options import (
    AsJson,
    DataDir,
    complain,
    errors,
    expected_failures,
    print_json,
    quiet_logs,
    settings_of,
)
from fhir_server.settings import Settings

if TYPE_CHECKING:
    from pymongo import AsyncMongoClient

    from fhir_server.store.archive import Contents, Manifest
    from fhir_server.store.restoring import Restored

SECRET = "auth.secret"  # noqa: S105 - its name
EMBEDDED = frozenset({"mongo.json", "mongo.key"})
"""Passwords of the embedded mongod itself; where a backup is restored there are others."""

RESTORED = Path("secrets") / "restored"
SHORTEST = 12

Target = Annotated[Path, typer.Argument(help="File to write; it must not be there yet.", show_default=False)]
Source = Annotated[Path, typer.Argument(help="File that `fhir-server backup` has written.", show_default=False)]
Passphrase = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="File whose first line is the passphrase.", show_default="not encrypted"),
]
Verify = Annotated[
    bool, typer.Option("--verify", help="Read everything again when it is restored, and compare its hashes.")
]
Check = Annotated[bool, typer.Option("--check", help="Only read the file and check it; no database is asked.")]


def backup(
    file: Target, *, data_dir: DataDir = None, passphrase_file: Passphrase = None, as_json: AsJson = False
) -> None:
    """Write a backup of everything to one file, beside running servers: the record, its history, its trail, accounts and keys.

    It shows one moment: what was acknowledged before the command began is in it, and of every transaction all or nothing.
    Without a passphrase, whoever reads the file has the keys, too.
    """
    settings = settings_of(data_dir)
    quiet_logs()
    passphrase = _passphrase(passphrase_file, new=True)
    if file.exists():
        complain(f"{file} is there already; name another file, or remove it.")
        raise typer.Exit(1)
    with expected_failures():
        manifest = asyncio.run(_back_up(settings, file, passphrase))
    if as_json:
        print_json({"file": str(file), "size": file.stat().st_size, **manifest.to_json()})
        return
    _show(manifest, f"{file} has {file.stat().st_size / 2**20:,.1f} MiB")
    if not passphrase:
        errors.print(
            "[yellow]The file is not encrypted: it holds all patient data and the keys of this server.[/] "
            "See --passphrase-file."
        )


def restore(
    file: Source,
    *,
    data_dir: DataDir = None,
    verify: Verify = False,
    check: Check = False,
    passphrase_file: Passphrase = None,
    as_json: AsJson = False,
) -> None:
    """Restore a backup into an empty data directory or database.

    The file is checked to its end first. Until everything is there and counted, no server opens the record; a restore that was
    cut off is run again with the same file.
    """
    settings = settings_of(data_dir)
    quiet_logs()
    passphrase = _passphrase(passphrase_file)
    if not file.is_file():
        complain(f"there is no file {file}.")
        raise typer.Exit(1)
    with expected_failures():
        if check:
            manifest = _checked(file, passphrase)
        else:
            restored = asyncio.run(_restore(settings, file, passphrase, verify=verify))
            manifest = restored.manifest
    if as_json:
        done = {} if check else {"verified": restored.verified, "unindexed": [*restored.unindexed]}
        print_json({**manifest.to_json(), **done})
        return
    _show(manifest, f"{file} is whole" if check else f"{file} is restored{' and verified' * restored.verified}")
    if not check:
        _advise(settings, restored)


async def _back_up(settings: Settings, file: Path, passphrase: bytes) -> "Manifest":
    from fhir_server.audit.codes import BACKUP
    from fhir_server.store.backup import back_up
    from fhir_server.store.client import check, connect
    from fhir_server.store.embedded import administered, embedded

    part = file.with_name(f"{file.name}.part")
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(embedded(settings))
        client = await stack.enter_async_context(connect(connection.url, settings))
        await check(client, settings.mongo.database)
        await _note(client, settings, BACKUP, file=file.name)
        admin = (
            await stack.enter_async_context(connect(administered(settings), settings)) if connection.embedded else None
        )
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b") as target:
            try:
                manifest = await back_up(
                    client,
                    settings.mongo.database,
                    target,
                    secrets=_secrets(settings),
                    program=_program(),
                    passphrase=passphrase,
                    admin=admin,
                    told=_tell,
                )
                target.flush()
                os.fsync(target.fileno())
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        part.replace(file)
    return manifest


async def _restore(settings: Settings, file: Path, passphrase: bytes, *, verify: bool) -> "Restored":
    from fhir_server.audit.codes import RESTORE
    from fhir_server.model.errors import Conflict
    from fhir_server.store.client import check, connect
    from fhir_server.store.embedded import embedded
    from fhir_server.store.restoring import restore as load

    secrets: dict[str, bytes] = {}
    manifest = _checked(file, passphrase, secrets)
    ours = settings.auth.secret.get_secret_value().encode() if settings.auth.secret else b""
    if ours and secrets.get(SECRET, ours) != ours:
        raise Conflict(
            "The backup is of a deployment with another auth.secret than the one that is set, so second factors and keys in it "
            "could not be opened. Leave auth.secret unset, and the restore writes down that of the backup."
        )
    async with embedded(settings) as connection, connect(connection.url, settings) as client:
        await check(client, settings.mongo.database)
        with file.open("rb") as source:
            restored = await load(
                client,
                settings.mongo.database,
                source,
                manifest,
                passphrase=passphrase,
                verify=verify,
                told=_tell,
            )
        _keep(settings, secrets)
        await _note(client, settings, RESTORE, file=file.name, taken=manifest.taken)
    return restored


async def _note(client: "AsyncMongoClient[dict[str, Any]]", settings: Settings, kind: str, **facts: str) -> None:
    """Tell the trail; where it takes nothing any more, a backup is needed all the more, so that is only said."""
    from fhir_server.audit.command import tell
    from fhir_server.model.errors import Unavailable
    from fhir_server.store import Trail

    try:
        await tell(Trail(client[settings.mongo.database]), settings, kind, **facts)
    except Unavailable:
        errors.print(
            f"[yellow]The audit trail takes no rows now, so it does not tell of this {kind}.[/] Look at its disk."
        )


def _checked(file: Path, passphrase: bytes, secrets: dict[str, bytes] | None = None) -> "Manifest":
    """Read the file to its end and return its manifest; note the secrets."""
    from fhir_server.store.archive import Manifest, Reader, Secret

    with file.open("rb") as source:
        for part in Reader(source, passphrase).parts():
            if isinstance(part, Secret) and secrets is not None:
                secrets[part.name] = part.value
            if isinstance(part, Manifest):
                return part
    raise AssertionError("what is read ends with its manifest")


def _secrets(settings: Settings) -> Mapping[str, bytes]:
    """Return what is secret of this deployment: files of the data directory by name, and the deployment's own secret."""
    folder = settings.data_dir / "secrets"
    files = sorted(folder.glob("*")) if folder.is_dir() else []
    found = {file.name: file.read_bytes() for file in files if file.is_file() and file.name not in EMBEDDED}
    if settings.auth.secret:
        found[SECRET] = settings.auth.secret.get_secret_value().encode()
    return found


def _keep(settings: Settings, secrets: Mapping[str, bytes]) -> None:
    """Put the secrets where the server finds them; a key that is there already stays."""
    from fhir_server.store.accounts import write_secret

    folder = settings.data_dir / "secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, value in secrets.items():
        if name == SECRET:
            if not settings.auth.secret:
                place = settings.data_dir / RESTORED
                place.mkdir(mode=0o700, exist_ok=True)
                write_secret(place / "fhir_auth__secret", value.decode())
        elif not (folder / name).exists():
            write_secret(folder / Path(name).name, value.decode())


def _passphrase(file: Path | None, *, new: bool = False) -> bytes:
    """Return the first line of the file, or nothing."""
    if file is None:
        return b""
    try:
        text = (file.read_text().splitlines() or [""])[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        complain(f"the file with the passphrase cannot be read: {error}")
        raise typer.Exit(2) from None
    if not text or (new and len(text) < SHORTEST):
        complain(f"the passphrase in {file} has {len(text)} characters; use {SHORTEST} or more.")
        raise typer.Exit(2)
    return text.encode()


def _tell(row: "Contents") -> None:
    if errors.is_terminal and row.documents:
        errors.print(f"[dim]{row.name}: {row.documents:,}[/]")


def _show(manifest: "Manifest", what: str) -> None:
    table = Table.grid(padding=(0, 2))
    for row in manifest.collections:
        if row.documents:
            table.add_row(f"[dim]{row.place}[/]", row.name, f"{row.documents:,}", f"[dim]{row.sha256[:16]}[/]")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"[bold]{what}[/]: {manifest.documents:,} documents of the record of {manifest.taken}, schema {manifest.schema}.",
        soft_wrap=True,
    )


def _advise(settings: Settings, restored: "Restored") -> None:
    """Say what is left to do."""
    console = Console(highlight=False, stderr=True)
    place = settings.data_dir / RESTORED
    if (place / "fhir_auth__secret").exists() and not settings.auth.secret:
        console.print(
            f"The deployment's secret is in {place / 'fhir_auth__secret'}. Set auth.secret to it, or start with "
            f"FHIR_SECRETS={place}; without it nobody can sign in with a second factor.",
            soft_wrap=True,
        )
    if restored.unindexed:
        names = ", ".join(restored.unindexed)
        console.print(f"This user may not make indexes of the trail: make {names} (docs/operate.md).", soft_wrap=True)
    console.print("Run `fhir-server doctor`, then start the server.")


def _program() -> str:
    try:
        return version("aquifer")
    except PackageNotFoundError:  # run from its sources
        return "unknown"
