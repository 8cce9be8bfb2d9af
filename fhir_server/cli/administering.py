"""A command that administers: it runs on a service, and what an administrator can mend is one sentence on stderr."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from fhir_server.cli.options import complain, expected_failures, quiet_logs, settings_of
from fhir_server.settings import Settings

if TYPE_CHECKING:
    from fhir_server.main import Service

T = TypeVar("T")


def administered(data_dir: Path | None, work: Callable[["Service"], Awaitable[T]]) -> T:
    """Return what the work on a running service returns, whose authorization server stands, whatever the mode is.

    Raises:
        typer.Exit: It cannot be done; the reason is on stderr. Exit code 1, or 2 for a wrong setting.
    """
    settings = settings_of(data_dir, auth={"mode": "smart"})
    quiet_logs()
    with expected_failures(), mendable():
        return asyncio.run(_within(settings, work))


@contextmanager
def mendable() -> Iterator[None]:
    """Turn what an administrator asked for and cannot have into one sentence on stderr and exit code 1."""
    from fhir_server.cli.linking import Unlinkable
    from smart_auth.administration import Unacceptable
    from smart_auth.messages import Undelivered

    try:
        yield
    except (Unacceptable, Undelivered, Unlinkable) as error:
        complain(str(error))
        raise typer.Exit(1) from None


def password_from_outside(*, from_stdin: bool) -> str:
    """Return a password from stdin or, where somebody sits there, from the keyboard; never from the command line.

    Raises:
        typer.Exit: There is none. Exit code 2.
    """
    if from_stdin:
        text = sys.stdin.buffer.readline().rstrip(b"\r\n")
        if text and _is_text(text):
            return text.decode()
        complain("There is no password on stdin, or it is not UTF-8 text. Write it there in one line.")
        raise typer.Exit(2)
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    complain("Say how the person gets a password: --invite, --print-link or --password-stdin.")
    raise typer.Exit(2)


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


async def _within(settings: Settings, work: Callable[["Service"], Awaitable[T]]) -> T:
    from fhir_server.main import running

    async with running(settings) as service:
        return await work(service)
