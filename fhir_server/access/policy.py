"""The effective policy of a deployment: everything that decides who may do what, as one immutable value (product.md 13, C1).

Its hash stands in every row of the audit trail, so that a row says by which rules it was decided.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from fhir_server.access.labelling import SENSITIVE
from fhir_server.access.privileges import AREAS, ROLES
from fhir_server.model import json
from fhir_server.settings import Section, Settings

ASIDE = frozenset({"server", "mongo", "messages", "search", "jobs"})
"""Sections of the settings that decide nothing about access. A new section belongs to the policy unless it is named here."""

PRESET = "baseline"
"""The name of the set of switches that the defaults are."""

SHOWN = 16
"""Characters of the hash that are shown and kept with audit rows: 64 bits tell apart all policies that there will be."""


def policy(settings: Settings) -> dict[str, Any]:
    """Return the policy as plain values, without secrets and without what depends on the machine.

    Returns:
        `preset`; `settings` by section and name; `roles`, each with title, areas, clearance and duties; `areas` with their types;
        `labelling`, the sensitive codes that bring labels, where the shipped table is in force.
    """
    sections = {
        name: _plain(section)
        for name in sorted(type(settings).model_fields)
        if name not in ASIDE and isinstance(section := getattr(settings, name), Section)
    }
    shipped = settings.access.labelling == "on" and settings.access.sensitive is None
    return {
        "preset": PRESET,
        "settings": sections,
        "roles": {
            code: {
                "title": role.title,
                "areas": dict(sorted(role.areas.items())),
                "clearance": sorted(role.clearance),
                "duties": sorted(role.duties),
            }
            for code, role in sorted(ROLES.items())
        },
        "areas": {area: sorted(types) for area, types in sorted(AREAS.items())},
        "labelling": SENSITIVE if shipped else {},
    }


def policy_hash(settings: Settings) -> str:
    """Return what tells this policy from every other: 16 hexadecimal digits."""
    return sha256(json.encode(policy(settings))).hexdigest()[:SHOWN]


def told(settings: Settings) -> dict[str, Any]:
    """Return the policy with its hash first, as it is shown."""
    return {"hash": policy_hash(settings), **policy(settings)}


def _plain(value: Any) -> Any:
    """Return a value of the settings as JSON has it; of a secret only whether there is one."""
    if isinstance(value, Section):
        return {name: _plain(getattr(value, name)) for name in sorted(type(value).model_fields)}
    if isinstance(value, SecretStr):
        return "set"
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in sorted(value.items())}
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(one) for one in value)
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, Path):
        return _digest(value)
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _digest(file: Path) -> str:
    """Return the name and the content of a file that belongs to the policy; the hash changes when its content does."""
    content = sha256(file.read_bytes()).hexdigest()[:SHOWN] if file.is_file() else "absent"
    return f"{file.name} ({content})"
