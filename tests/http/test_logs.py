"""What gets into the log, and what never does."""

import logging
import subprocess
import sys

import pytest

from fhir_server.http import logs
from fhir_server.model import json

LOGGING = """
import logging, structlog
from fhir_server.http import logs
logs.configure("info")
log = structlog.get_logger("test")
log.info("request", status=200, type="Patient")
log.debug("hidden")
try:
    try:
        {}["secret key"]
    except KeyError as error:
        raise ValueError("Mrs Smith") from error
except ValueError:
    log.exception("failed")
    logging.getLogger("uvicorn.error").exception("Exception in %s application", "ASGI")
logging.getLogger("pymongo.command").debug("find Mrs Smith")
logging.getLogger("other").warning("careful %d", 3)
logging.getLogger("other").warning("broken %d", "x")
"""


def test_a_process_logs_json_lines_without_texts_of_exceptions() -> None:
    run = subprocess.run([sys.executable, "-c", LOGGING], capture_output=True, text=True, check=True)
    assert run.stdout == ""
    lines = [json.decode(line.encode()) for line in run.stderr.splitlines()]
    assert [line["event"] for line in lines] == [
        "request",
        "failed",
        "Exception in ASGI application",
        "careful 3",
        "broken %d",
    ]
    assert lines[0] | {"timestamp": ""} == {
        "status": 200, "type": "Patient", "event": "request", "level": "info", "timestamp": ""
    }  # fmt: skip
    for line in lines[1:3]:
        assert line["exception"][0] == "builtins.ValueError"
        assert "builtins.KeyError" in line["exception"]
        assert "<string>:12 <module>" in line["exception"][1]
    assert "Smith" not in run.stderr
    assert "secret" not in run.stderr


def test_people_get_a_short_line() -> None:
    event = {"timestamp": "2026-01-02T03:04:05.678901Z", "level": "info", "event": "request", "status": 200, "type": ""}
    assert logs.as_line(None, "info", event) == b"03:04:05.678 info    request status=200"


def test_values_that_json_cannot_hold_are_written_as_text() -> None:
    assert json.decode(logs.as_json(None, "info", {"event": "x", "value": logging}))["event"] == "x"


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_every_level_of_the_settings_is_known(level: str) -> None:
    assert level in logs.LEVELS
