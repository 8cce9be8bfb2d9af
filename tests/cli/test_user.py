"""`fhir-server user`, on a record with a family, a doctor and the doctor's roles."""

import re
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from fhir_server.model import json
from tests.cli.conftest import Command
from tests.cli.family import FAMILY

PASSWORD = "lantern gravel otter nine"


@pytest.fixture(scope="module", autouse=True)
def record(command: Command, tmp_path_factory: pytest.TempPathFactory) -> None:
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}} for one in FAMILY
    ]
    file = tmp_path_factory.mktemp("family") / "family.json"
    file.write_bytes(json.encode({"resourceType": "Bundle", "type": "transaction", "entry": entries}))
    loaded = command("load", file)
    assert loaded.code == 0, loaded.err + loaded.out


def test_a_patient_is_added_with_a_password_from_stdin_and_the_name_of_the_record(command: Command) -> None:
    added = command("user", "add", "Mia@X.org", "--link", "Patient/mia", "--password-stdin", "--json", typed=PASSWORD)
    assert added.code == 0, added.err
    assert added.json == {
        "id": added.json["id"],
        "login": "mia@x.org",
        "name": "Mia Lund",
        "kind": "patient",
        "email": "Mia@X.org",
        "links": [{"reference": "Patient/mia", "patient": "mia"}],
        "password": True,
        "secondFactor": False,
        "disabled": False,
    }
    assert PASSWORD not in added.out + added.err


def test_a_proxy_is_added_by_the_person_who_joins_several_patients(command: Command) -> None:
    added = command("user", "add", "proxy", "--link", "Person/mia-lund", "--print-link", "--json")
    assert added.code == 0, added.err
    assert added.json["links"] == [
        {"reference": "Patient/mia", "patient": "mia"},
        {"reference": "RelatedPerson/r1", "patient": "kid1"},
        {"reference": "RelatedPerson/r2", "patient": "kid2"},
    ]
    assert re.fullmatch(r"http://127\.0\.0\.1:8080/auth/password\?link=[\w-]{43}", added.json["link"])
    assert added.json["password"] is False


def test_staff_are_invited_by_a_letter_and_bring_the_roles_of_now(command: Command, tmp_path: Path) -> None:
    added = command(
        "user", "add", "grey", "--link", "Practitioner/doc", "--email", "grey@x.org", "--invite", "--language", "de",
        FHIR_MESSAGES__FOLDER=str(tmp_path / "letters"), FHIR_AUTH__NAME="Klinik Süd",
        FHIR_SERVER__BASE_URL="https://fhir.example/r4/fhir",
    )  # fmt: skip
    assert added.code == 0, added.err
    assert added.out.splitlines() == [
        "grey (Dr Ana Grey, staff) is added.",
        "  Practitioner/doc",
        "  PractitionerRole/day",
        "  PractitionerRole/night",
        "Invited by a letter to grey@x.org.",
    ]
    (file,) = (tmp_path / "letters").iterdir()
    letter = message_from_bytes(file.read_bytes(), policy=default)
    assert (letter["To"], letter["From"]) == ("grey@x.org", "Klinik Süd <no-reply@localhost>")
    assert letter["Subject"] == "Ihr Konto bei Klinik Süd"
    assert "https://fhir.example/auth/password?link=" in file.read_text(encoding="utf-8")


def test_who_is_not_in_the_record_is_refused_with_the_remedy(command: Command) -> None:
    refused = command("user", "add", "x", "--link", "Patient/nobody", "--password-stdin", typed=PASSWORD)
    assert refused.code == 1
    assert refused.err == "error: There is no Patient/nobody in the record. Create it first.\n"


def test_a_password_comes_from_stdin_or_not_at_all(command: Command) -> None:
    empty = command("user", "add", "x", "--name", "X", "--password-stdin")
    assert (empty.code, "no password on stdin" in empty.err) == (2, True)
    assert "--password-stdin" in command("user", "add", "x", "--name", "X").err
    weak = command("user", "add", "x", "--name", "X", "--password-stdin", typed="short")
    assert (weak.code, "12 or more" in weak.err) == (1, True)
    both = command("user", "add", "x", "--invite", "--print-link")
    assert (both.code, "Use one of --invite, --print-link." in both.err) == (2, True)
    assert "--email" in command("user", "add", "x", "--name", "X", "--invite").err


def test_a_person_is_disabled_enabled_linked_and_helped_in_again(command: Command) -> None:
    command("user", "add", "eve", "--name", "Eve", "--print-link")
    assert command("user", "disable", "EVE").out == "eve (Eve, patient) is disabled.\n"
    refused = command("user", "reset", "eve", "--print-link")
    assert (refused.code, "Enable it first" in refused.err) == (1, True)
    assert command("user", "enable", "eve", "--json").json["disabled"] is False
    assert command("user", "change", "eve", "--name", "Eve Adams", "--json").json["name"] == "Eve Adams"
    linked = command("user", "link", "eve", "RelatedPerson/r1", "RelatedPerson/r2", "--json")
    assert [link["patient"] for link in linked.json["links"]] == ["kid1", "kid2"]
    linked = command("user", "link", "eve", "RelatedPerson/r1", "--remove", "--json")
    assert [link["patient"] for link in linked.json["links"]] == ["kid2"]
    assert "/auth/password?link=" in command("user", "reset", "eve", "--print-link", "--second-factor").out
    assert command("user", "reset", "eve", "--password-stdin", "--json", typed=PASSWORD).json["password"] is True
    assert "no e-mail address" in command("user", "reset", "eve").err


def test_people_are_listed(command: Command) -> None:
    command("user", "add", "listed", "--link", "Patient/kid1", "--name", "Lee Listed", "--print-link")
    command("user", "add", "nurse", "--name", "Nurse", "--kind", "staff", "--print-link")
    shown = command("user", "list")
    assert shown.code == 0
    assert "Lee Listed" in shown.out
    assert "no password yet" in shown.out
    staff = {user["login"] for user in command("user", "list", "--kind", "staff", "--json").json["users"]}
    assert "nurse" in staff
    assert "listed" not in staff


def test_a_letter_that_no_server_takes_is_said(command: Command) -> None:
    smtp = {"FHIR_MESSAGES__WAY": "smtp", "FHIR_MESSAGES__HOST": "127.0.0.1", "FHIR_MESSAGES__PORT": "1"}
    refused = command("user", "add", "unlucky@x.org", "--name", "Unlucky", "--invite", **smtp)
    assert refused.code == 1
    assert "unlucky@x.org is added, but not invited: The mail server 127.0.0.1:1 did not take the letter" in refused.err
    assert "fhir-server user reset unlucky@x.org" in refused.err
