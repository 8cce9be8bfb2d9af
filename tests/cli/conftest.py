"""The command as a user runs it: a process of its own on the data directory of this test run."""

import os
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from tests.processes import Ended, Nursery

Command = Callable[..., Ended]
WITH_DATA = {
    "client",
    "config",
    "demo",
    "doctor",
    "facility",
    "init",
    "jobs",
    "keys",
    "load",
    "migrate",
    "package",
    "policy",
    "reindex",
    "shard",
    "terminology",
    "token",
    "user",
    "validate",
}


@pytest.fixture(scope="module")
def command(data_dir: Path, mongo_url: SecretStr, nursery: Nursery) -> Command:
    """Return a function that runs `fhir-server` with arguments, on a database that the tests of one module share."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_")}
    environment |= {
        "FHIR_MONGO__DATABASE": f"cli_{uuid4().hex[:8]}",
        "FHIR_MONGO__CACHE_GB": "0.25",
        "COLUMNS": "200",
        "NO_COLOR": "1",
    }

    def run(*arguments: str | Path, typed: str = "", **more: str) -> Ended:
        words = [*arguments]
        if arguments and arguments[0] in WITH_DATA and "--help" not in arguments:
            words += ["--data-dir", data_dir]
        return nursery.run(*words, environment={**environment, **more}, typed=typed)

    return run
