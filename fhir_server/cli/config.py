"""`fhir-server config`: every setting with its effective value, and what is unsafe about them."""

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from rich.console import Console
from rich.table import Table

from fhir_server.cli.options import AsJson, DataDir, print_json, settings_of
from fhir_server.settings import Settings

MASK = "**********"
Markdown = Annotated[bool, typer.Option("--markdown", help="Print the page docs/configure.md instead.")]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        path: Its place in the tree, such as `("server", "port")`.
        field: Its definition.
        section: Docstring of its group, empty at the top.
    """

    path: tuple[str, ...]
    field: FieldInfo
    section: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"FHIR_{'__'.join(self.path).upper()}"

    @property
    def default(self) -> str:
        """Its default as one writes it."""
        return _shown(self.field.default)

    def value(self, settings: Settings) -> Any:
        """Return its effective value."""
        value: Any = settings
        for name in self.path:
            value = getattr(value, name)
        return value


def config(*, data_dir: DataDir = None, markdown: Markdown = False, as_json: AsJson = False) -> None:
    """Show the effective settings, where each comes from, and what is unsafe about them. Secrets are masked."""
    if markdown:
        Console(soft_wrap=True).print(page(), markup=False, highlight=False, end="")
        return
    settings = settings_of(data_dir)
    warnings = list(consequences(settings))
    if as_json:
        print_json({"settings": tree(settings), "warnings": warnings})
        return
    table = Table("setting", "value", "from", "meaning")
    for setting in every():
        source = origin(setting, given=data_dir is not None)
        table.add_row(".".join(setting.path), _shown(setting.value(settings)), source, setting.field.description or "")
    console = Console()
    console.print(table)
    for warning in warnings:
        console.print(f"[yellow]warning[/]: {warning}", soft_wrap=True)


def every() -> Iterator[Setting]:
    """Yield every setting, in the order in which they are defined."""
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for inner, inner_field in kind.model_fields.items():
                yield Setting((name, inner), inner_field, (kind.__doc__ or "").strip())
        else:
            yield Setting((name,), field, "")


def tree(settings: Settings) -> dict[str, Any]:
    """Return the effective settings as nested JSON values, secrets masked."""
    found: dict[str, Any] = {}
    for setting in every():
        place = found
        for name in setting.path[:-1]:
            place = place.setdefault(name, {})
        value = setting.value(settings)
        if isinstance(value, SecretStr):
            value = MASK
        place[setting.path[-1]] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    return str(value) if isinstance(value, Path) else value


def origin(setting: Setting, *, given: bool = False) -> str:
    """Return where the effective value comes from: command line, environment, the TOML file or the default."""
    if given and setting.path == ("data_dir",):
        return "--data-dir"
    if setting.variable in {name.upper() for name in os.environ}:
        return "environment"
    file = Path(os.environ.get("FHIR_CONFIG", "fhir.toml"))
    value: Any = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name in setting.path:
        value = value.get(name) if isinstance(value, dict) else None
    return "default" if value is None else str(file)


def consequences(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each setting whose value is unsafe outside a test machine."""
    from fhir_server.http.bind import is_loopback

    if settings.auth.mode == "open":
        yield "auth.mode is open: everybody who reaches the port may read and change everything. Only loopback addresses are served."
    if settings.mongo.url is None:
        yield (
            "mongo.url is unset: the record is in the embedded mongod of the data directory, one copy on one machine. Back the "
            "directory up, and use a replica set for production."
        )
    elif (
        "tls=true" not in settings.mongo.url.get_secret_value()
        and "mongodb+srv" not in settings.mongo.url.get_secret_value()
    ):
        yield "mongo.url does not ask for TLS: the record travels in clear between server and database."
    if settings.messages.way == "folder" and settings.auth.mode == "smart":
        yield "messages.way is folder: letters to people stay in a folder of this machine. Set messages.way to smtp and messages.host."
    if (
        settings.messages.way == "smtp"
        and settings.messages.security == "none"
        and not is_loopback(settings.messages.host)
    ):
        yield "messages.security is none: letters with secret links travel in clear to the mail server."
    if settings.record.references == "off":
        yield "record.references is off: references may lead nowhere, and referenced resources can be deleted."
    if "*" in settings.server.cors_origins:
        yield "server.cors_origins is *: pages of any origin may call the server from a browser."
    if not settings.server.base_url and settings.server.host not in {"127.0.0.1", "localhost", "::1"}:
        yield "server.base_url is empty: links in answers follow the Host header of the request. Set the public address."


def page() -> str:
    """Return the documentation page of all settings in Markdown."""
    lines = [
        "# Configure",
        "",
        "Each setting has a name in `fhir.toml` and an environment variable. The environment wins over secret files, these over",
        "`fhir.toml` in the working directory (or the file that `FHIR_CONFIG` names), and that over the default. Unknown names are",
        "refused. `fhir-server config` shows the effective values, where each comes from, and warns of unsafe ones.",
        "",
        "```toml",
        "# fhir.toml",
        'data_dir = "/var/lib/aquifer"',
        "",
        "[server]",
        "port = 8080",
        'base_url = "https://example.org/fhir"',
        "```",
        "",
        "This page is generated: `fhir-server config --markdown > docs/configure.md`.",
    ]
    group = None
    for setting in every():
        head = setting.path[0] if len(setting.path) > 1 else ""
        if head != group:
            group = head
            lines += ["", f"## {head or 'Top level'}", ""] + ([setting.section, ""] if setting.section else [])
            lines += ["| setting | environment variable | default | meaning |", "|---|---|---|---|"]
        meaning = (setting.field.description or "").replace("|", "\\|")
        default = f"`{setting.default}`" if setting.default else ""
        lines.append(f"| `{'.'.join(setting.path)}` | `{setting.variable}` | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return MASK
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(_plain(value))
