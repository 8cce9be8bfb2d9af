"""The TOML file of settings, as a command writes it: a new one, never a change in one that somebody wrote."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from fhir_server.model import json


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """The file that the server reads.

    Attributes:
        path: Where it is, or would be.
    """

    path: Path

    @classmethod
    def of_now(cls) -> "SettingsFile":
        """Return the file that `FHIR_CONFIG` names, else `fhir.toml` in the working directory."""
        return cls(Path(os.environ.get("FHIR_CONFIG", "fhir.toml")))

    def lacking(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Return the wanted settings that the file does not have, by name such as `record.facility`.

        Raises:
            ValueError: The file is not TOML.
        """
        content = tomllib.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}
        return {name: value for name, value in wanted.items() if _value(content, name) != value}

    def write(self, wanted: Mapping[str, Any]) -> bool:
        """Write the settings where there is no file yet; return whether that was so.

        Raises:
            OSError: It cannot be written.
        """
        try:
            with self.path.open("x", encoding="utf-8") as opened:
                opened.write(toml(wanted))
        except FileExistsError:
            return False
        return True


def toml(settings: Mapping[str, Any]) -> str:
    """Return settings, given by names such as `server.port`, as TOML: those without a section first."""
    lines: list[str] = []
    for section, names in groupby(sorted(settings, key=_order), lambda name: name.rpartition(".")[0]):
        lines += [*([""] if lines else []), *([f"[{section}]"] if section else [])]
        lines += [f"{name.rpartition('.')[2]} = {_literal(settings[name])}" for name in names]
    return "\n".join(lines) + "\n"


def variables(settings: Mapping[str, Any]) -> list[str]:
    """Return settings as assignments of environment variables."""
    return [f"FHIR_{name.replace('.', '__').upper()}={_literal(value)}" for name, value in settings.items()]


def _order(name: str) -> tuple[str, str]:
    section, _, own = name.rpartition(".")
    return section, own


def _literal(value: object) -> str:
    """Return a text, number or truth value in TOML, whose basic strings are written like those of JSON."""
    return json.encode(value).decode().replace("\x7f", "\\u007F")


def _value(content: Any, name: str) -> Any:
    for step in name.split("."):
        content = content.get(step) if isinstance(content, dict) else None
    return content
