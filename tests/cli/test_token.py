"""`fhir-server token`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fhir_server.model import json

Run = Callable[..., Any]


def test_a_token_is_printed_alone_and_json_tells_more(command: Run) -> None:
    shown = command("token")
    assert shown.code == 0, shown.err
    assert shown.out.startswith("aqa_")
    assert shown.out.count("\n") == 1
    told = command("token", "--scope", "system/Patient.rs", "--json").json
    assert told["scope"] == "system/Patient.rs"
    assert 3500 < told["expires_in"] <= 3600


def test_what_cannot_be_had_is_one_sentence(command: Run) -> None:
    shown = command("token", "--scope", "user/*.rs")
    assert (shown.code, shown.out) == (1, "")
    assert "name a person for user/ scopes" in " ".join(shown.err.split())
    shown = command("token", "--user", "nobody")
    assert shown.code == 1
    assert "nobody" in shown.err


def test_a_token_is_for_one_of_the_roles_that_the_person_holds(command: Run, tmp_path: Path) -> None:
    role = {"resourceType": "PractitionerRole", "active": True, "practitioner": {"reference": "Practitioner/two"}}
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in ({"resourceType": "Practitioner", "id": "two"}, {**role, "id": "day"}, {**role, "id": "night"})
    ]
    file = tmp_path / "roles.json"
    file.write_bytes(json.encode({"resourceType": "Bundle", "type": "transaction", "entry": entries}))
    assert command("load", file).code == 0
    command("user", "add", "two", "--link", "Practitioner/two", "--name", "Two", "--print-link")
    assert command("token", "--user", "two", "--role", "PractitionerRole/night").out.startswith("aqa_")
    refused = command("token", "--user", "two", "--role", "PractitionerRole/other")
    assert refused.code == 1
    assert "none of the roles that the person holds: PractitionerRole/day, PractitionerRole/night" in " ".join(
        refused.err.split()
    )
