"""Options that every command takes, and how a command ends when something expected goes wrong."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from fhir_server.model import json
from fhir_server.settings import Settings

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Folder of the embedded database, keys and state.", show_default="the setting data_dir"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for scripts instead of tables.")]

errors = Console(stderr=True, highlight=False)


def complain(text: str, head: str = "error") -> None:
    """Write one sentence to stderr about what went wrong, as it is: brackets in it are no markup."""
    errors.print(f"[red]{head}[/]: {escape(text)}", soft_wrap=True)


def settings_of(data_dir: Path | None = None, **overrides: Any) -> Settings:
    """Return the effective settings, the command line over everything else.

    Args:
        data_dir: Value of `--data-dir`, `None` where it was not given.
        overrides: Further settings from the command line.

    Raises:
        typer.Exit: A setting is wrong; the reason is on stderr. Exit code 2.
    """
    if data_dir is not None:
        overrides["data_dir"] = data_dir
    try:
        return Settings.load(**overrides)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            complain(problem["msg"], f"setting {'.'.join(map(str, problem['loc']))}")
        errors.print("`fhir-server config` lists every setting with its meaning.")
        raise typer.Exit(2) from None
    except ValueError as error:
        complain(str(error), "settings")
        raise typer.Exit(2) from None


@contextmanager
def expected_failures() -> Iterator[None]:
    """Turn the failures that an operator can mend into one sentence on stderr and exit code 1."""
    from fhir_server.model.errors import FhirError
    from fhir_server.store.client import MongoUnavailable

    try:
        yield
    except (FhirError, MongoUnavailable) as error:
        complain(str(error))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        errors.print("Interrupted. What was stored stays; run the command again to go on.")
        raise typer.Exit(130) from None


def quiet_logs() -> None:
    """Log warnings and errors only, to stderr: stdout belongs to the command's answer."""
    from fhir_server.http import logs

    logs.configure("warning")


def print_json(value: Any) -> None:
    """Write a value as indented JSON to stdout."""
    sys.stdout.write(json.pretty(json.encode(value)).decode() + "\n")
