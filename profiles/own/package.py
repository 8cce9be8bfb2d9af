"""`package()`: the definitions of this server's own as a package, `aquifer#<version>`, that every process has at hand."""

import hashlib
from functools import cache
from pathlib import Path

import msgspec

from profiles.packages.package import CORE, FOLDER, MANIFEST, Package, assembled

NAME = "aquifer"
VERSION = "0.1.0"
"""That of the server; every definition has it."""

BASE = "https://aquifer.example/fhir"

DEFINITIONS = Path(__file__).parent / "definitions"
EXAMPLES = Path(__file__).parent / "examples"


@cache
def package() -> Package:
    """Return the package, made once in a process."""
    content = {}
    for file in sorted(DEFINITIONS.rglob("*.json")):
        resource = msgspec.json.decode(file.read_bytes())
        path = f"{FOLDER}{resource['resourceType']}-{resource['id']}.json"
        content[path] = msgspec.json.encode({**resource, "version": VERSION})
    content[MANIFEST] = msgspec.json.encode(
        {
            "name": NAME,
            "version": VERSION,
            "title": "Definitions of Aquifer",
            "canonical": BASE,
            "fhirVersions": ["4.0.1"],
            "dependencies": {CORE: "4.0.1"},
        }
    )
    digest = hashlib.sha256(b"\n".join(content[path] for path in sorted(content)))
    return assembled(content, digest.hexdigest(), NAME)
