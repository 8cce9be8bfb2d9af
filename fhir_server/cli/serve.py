"""`fhir-server serve`: the server, in one process or several."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.panel import Panel

from fhir_server.cli.ahead import started_ahead
from fhir_server.cli.options import AsJson, DataDir, complain, expected_failures, settings_of
from fhir_server.model import json
from fhir_server.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

TRY = (
    ("/", "start page"),
    ("/docs", "the API, to read and to try"),
    ("/fhir/metadata", "what this server can do"),
    ("/health/ready", "whether it is ready"),
    ("/metrics", "metrics for Prometheus"),
)
TRY_SMART = (
    ("/auth/apps", "sign in, and see which apps have access"),
    ("/fhir/.well-known/smart-configuration", "how apps get access"),
)
TRY_SAMPLE = (("/sample-app/", "an app, to try a launch with"),)
TRY_OPEN = (
    ("/fhir/Patient?_count=5&_pretty=true", "five patients"),
    ("/fhir/Observation?_sort=-date&_count=5&_pretty=true", "the latest observations"),
)
WARNING = (
    "[bold]Open mode: nobody has to sign in, and everybody on this machine may read, change and delete every record.[/]\n"
    "It listens on a loopback address only. Do not put it on a network, and do not keep real patients in it unguarded."
)

Host = Annotated[str | None, typer.Option("--host", help="Address to listen on.", show_default="127.0.0.1")]
Port = Annotated[
    int | None, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.", show_default="8080")
]
Workers = Annotated[int | None, typer.Option("--workers", min=1, max=64, help="Processes.", show_default="1")]
Worker = Annotated[
    bool | None,
    typer.Option(
        "--with-worker/--no-worker",
        help="Do background work beside the requests, or leave it to `fhir-server worker`.",
        show_default="with, where jobs.concurrency is above 0",
    ),
]
Auth = Annotated[
    Literal["smart", "open"] | None,
    typer.Option(
        "--auth", help="How callers prove who they are: by access tokens, or not at all.", show_default="smart"
    ),
]


def serve(  # noqa: PLR0917 - typer calls it by keywords
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    data_dir: DataDir = None,
    auth: Auth = None,
    with_worker: Worker = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Serve FHIR R4 until it is interrupted.

    Without FHIR_MONGO__URL it starts the embedded MongoDB in the data directory, and stops it at the end.
    """
    _to_environment(host, port, workers, data_dir, auth, with_worker)
    settings = settings_of()
    _check_bind(settings)
    if with_worker and not settings.jobs.concurrency:
        complain("--with-worker has nothing to work with: set jobs.concurrency (FHIR_JOBS__CONCURRENCY) to 1 or more.")
        raise typer.Exit(2)
    with started_ahead(settings) as give_up:
        _serve(settings, give_up, as_json=as_json)


def _serve(settings: Settings, ready: Callable[[], None], *, as_json: bool) -> None:
    from fhir_server.http import logs, serving
    from fhir_server.main import working

    logs.configure(settings.server.log_level)
    listener = _listen(settings)
    base = serving.url(listener, settings.server.host)
    if not settings.server.base_url and settings.auth.mode == "smart":
        # Port 0 has become a port; tokens, pages and answers of all processes must name the same base.
        os.environ["FHIR_SERVER__BASE_URL"] = f"{base}/fhir"
        settings = settings_of()

    def announce() -> None:
        ready()
        if as_json:
            _announce_json(settings, base)
        else:
            _announce(settings, base)

    with expected_failures(), listener:
        if settings.server.workers == 1:
            serving.serve_here(settings, working, listener, announce)
        else:
            serving.serve_workers(settings, working, f"{__name__}:{worker.__name__}", listener, announce)


def worker() -> "ASGIApp":
    """Return the application of one of several processes; its settings come from the environment that `serve` prepared."""
    from fhir_server.http import logs, serving
    from fhir_server.main import running

    settings = Settings.load()
    logs.configure(settings.server.log_level)
    return serving.application(settings, running)


def _to_environment(  # noqa: PLR0917 - the options, in their order
    host: str | None,
    port: int | None,
    workers: int | None,
    data_dir: Path | None,
    auth: str | None,
    with_worker: bool | None,  # noqa: FBT001 - a flag with three states
) -> None:
    """Put the options where every process of the server reads its settings; they count more than files and defaults."""
    options = {
        "FHIR_SERVER__HOST": host,
        "FHIR_SERVER__PORT": port,
        "FHIR_SERVER__WORKERS": workers,
        "FHIR_DATA_DIR": data_dir,
        "FHIR_AUTH__MODE": auth,
        "FHIR_JOBS__CONCURRENCY": 0 if with_worker is False else None,
    }
    os.environ.update({name: str(value) for name, value in options.items() if value is not None})


def _check_bind(settings: Settings) -> None:
    from fhir_server.http.bind import check_bind

    try:
        check_bind(settings)
    except ValueError as error:
        complain(str(error))
        raise typer.Exit(2) from None


def _listen(settings: Settings) -> socket.socket:
    from fhir_server.http import serving

    try:
        return serving.listen(settings)
    except OSError as error:
        complain(
            f"cannot listen on {settings.server.host}:{settings.server.port} ({error.strerror or error}). "
            "Choose another --host or --port, or stop what listens there."
        )
        raise typer.Exit(1) from None


def _announce(settings: Settings, base: str) -> None:
    from fhir_server.http import sample

    console = Console(highlight=False)
    console.print()
    console.print(f"[bold green]Aquifer is ready[/] at [bold]{base}/fhir[/] (FHIR R4). Things to try:\n")
    offered = [*TRY, *(TRY_OPEN if settings.auth.mode == "open" else TRY_SMART)]
    offered += TRY_SAMPLE if sample.is_served(settings) else ()
    width = max(len(path) for path, _ in offered)
    for path, text in offered:
        console.print(f"  [cyan]{base}{path:<{width}}[/]  [dim]{text}[/]", soft_wrap=True)
    if settings.auth.mode == "open":
        console.print()
        console.print(Panel(WARNING, title="no authentication", border_style="bold red", title_align="left"))
    else:
        console.print(
            "\nRequests need an access token. For the shell: "
            f'[cyan]curl --oauth2-bearer "$(fhir-server token)" {base}/fhir/Patient?_count=5[/]',
            soft_wrap=True,
        )
    console.print("\n[dim]Ctrl-C stops the server.[/]")


def _announce_json(settings: Settings, base: str) -> None:
    said = {
        "url": base,
        "fhir": f"{base}/fhir",
        "pid": os.getpid(),
        "workers": settings.server.workers,
        "auth": settings.auth.mode,
    }
    sys.stdout.write(json.encode(said).decode() + "\n")
    sys.stdout.flush()
