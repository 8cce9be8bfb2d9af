"""The command as a user runs it: a process of its own on the data directory of this test run."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from fhir_server.model import json


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.decode(self.out.encode())


Command = Callable[..., Ended]
WITH_DATA = {
    "client",
    "config",
    "demo",
    "doctor",
    "facility",
    "init",
    "keys",
    "load",
    "package",
    "policy",
    "reindex",
    "token",
    "user",
    "validate",
}


@pytest.fixture(scope="module")
def command(data_dir: Path, mongo_url: SecretStr) -> Command:
    """Return a function that runs `fhir-server` with arguments, on a database that the tests of one module share."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_")}
    environment |= {
        "FHIR_MONGO__DATABASE": f"cli_{uuid4().hex[:8]}",
        "FHIR_MONGO__CACHE_GB": "0.25",
        "COLUMNS": "200",
        "NO_COLOR": "1",
    }

    def run(*arguments: str | Path, typed: str = "", **more: str) -> Ended:
        words = [sys.executable, "-c", "from fhir_server.cli import app; app()", *map(str, arguments)]
        if arguments and arguments[0] in WITH_DATA and "--help" not in arguments:
            words += ["--data-dir", str(data_dir)]
        done = subprocess.run(
            words, env={**environment, **more}, input=typed, capture_output=True, text=True, timeout=400, check=False
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run
