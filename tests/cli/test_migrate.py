"""`fhir-server migrate` tells what is to be done and does it."""

from collections.abc import Callable
from typing import Any

from fhir_server.store.schema import VERSION

Run = Callable[..., Any]


def test_where_no_record_is_there_is_nothing_to_migrate(command: Run) -> None:
    refused = command("migrate")
    assert refused.code == 1
    assert "no record" in refused.err


def test_a_record_of_this_release_needs_nothing(command: Run) -> None:
    made = command("reindex", "--json")
    assert made.code == 0, made.err
    told = command("migrate", "--plan", "--json")
    assert told.json == {"version": VERSION, "steps": [], "applied": False}
    assert "nothing to do" in command("migrate").out
