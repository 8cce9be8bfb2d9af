"""`fhir-server reindex` with and without a server to do it."""

from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]


def test_it_is_done_here_where_no_server_does_it(command: Run) -> None:
    done = command("reindex", "--type", "Organization", "--wait", "--json")
    assert done.code == 0, done.err
    assert (done.json["state"], done.json["types"], done.json["changed"]) == ("done", ["Organization"], 0)
    assert done.json["done"] == 1


def test_it_is_queued_where_nobody_waits(command: Run) -> None:
    queued = command("reindex", "--json")
    assert queued.code == 0, queued.err
    assert queued.json["state"] == "queued"
    again = command("reindex", "--json")
    assert again.json["job"] == queued.json["job"]
    done = command("reindex", "--wait")
    assert done.code == 0, done.err
    assert "were looked at" in done.out


def test_an_unknown_type_is_refused(command: Run) -> None:
    refused = command("reindex", "--type", "Patint")
    assert refused.code == 1
    assert "Patint" in refused.err
