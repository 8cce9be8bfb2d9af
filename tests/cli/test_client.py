"""`fhir-server client` and `fhir-server keys`."""

from pathlib import Path

from fhir_server.model import json
from tests.cli.conftest import Command
from tests.smart_auth.apps import ec, key_set

CALLBACK = "https://app.example/callback"


def test_a_public_app_is_registered_and_what_to_paste_is_printed(command: Command) -> None:
    added = command(
        "client", "add", "--kind", "public", "--name", "Growth chart", "--redirect-uri", CALLBACK,
        "--redirect-uri", "http://127.0.0.1/callback", "--launch-uri", "https://app.example/launch",
        "--scope", "launch/patient patient/*.rs openid fhirUser offline_access",
    )  # fmt: skip
    assert added.code == 0, added.err
    assert added.out.startswith("Growth chart is registered.\nPaste this into the app:\n")
    assert f"  redirect URIs         {CALLBACK} http://127.0.0.1/callback\n" in added.out
    assert "  FHIR base (iss, aud)  http://127.0.0.1:8080/fhir\n" in added.out
    assert "client_secret" not in added.out
    assert "http://127.0.0.1:8080/fhir/.well-known/smart-configuration" in added.out


def test_a_confidential_app_gets_a_secret_that_is_shown_once_and_rotated(command: Command) -> None:
    added = command(
        "client", "add", "--kind", "confidential", "--name", "EHR", "--redirect-uri", CALLBACK, "--json"
    ).json
    assert added["token_endpoint_auth_method"] == "client_secret_basic"
    assert "registration_client_uri" not in added
    listed = command("client", "list", "--json")
    assert added["client_secret"] not in listed.out
    assert added["client_id"] in listed.out
    rotated = command("client", "rotate", added["client_id"], "--json").json
    assert rotated["client_secret"] != added["client_secret"]


def test_a_backend_is_registered_with_keys_in_a_file_or_at_a_url(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(json.encode(key_set(ec())))
    words = ("client", "add", "--kind", "backend", "--name", "ETL", "--scope", "system/*.rs", "--json")
    added = command(*words, "--jwks", file).json
    assert (added["grant_types"], added["scope"]) == (["client_credentials"], "system/*.rs")
    assert added["jwks"] == key_set(ec())
    file.write_bytes(json.encode(key_set(ec())["keys"][0]))
    moved = command("client", "rotate", added["client_id"], "--jwks", file, "--json").json
    assert moved["jwks"] == key_set(ec())
    assert command(*words, "--jwks-uri", "https://etl.example/jwks").json["jwks_uri"] == "https://etl.example/jwks"


def test_a_confidential_app_with_keys_has_no_secret(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(json.encode(key_set(ec())))
    words = ("client", "add", "--kind", "confidential", "--name", "Keyed", "--redirect-uri", CALLBACK, "--json")
    added = command(*words, "--jwks", file).json
    assert added["token_endpoint_auth_method"] == "private_key_jwt"
    assert "client_secret" not in added


def test_what_cannot_be_registered_is_refused_with_the_remedy(command: Command) -> None:
    refused = command("client", "add", "--name", "X", "--kind", "public", "--redirect-uri", "http://app.example/")
    assert refused.code == 1
    assert "begins with https://" in refused.err


def test_private_keys_and_broken_files_are_refused(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    words = ("client", "add", "--kind", "backend", "--name", "X", "--scope", "system/*.rs", "--jwks", file)
    file.write_bytes(json.encode({"keys": [dict(ec().as_dict(private=True))]}))
    refused = command(*words)
    assert (refused.code, "private" in refused.err) == (1, True)
    file.write_text("{")
    assert command(*words).code == 2


def test_an_app_is_disabled_and_enabled(command: Command) -> None:
    client_id = command("client", "add", "--kind", "public", "--name", "X", "--redirect-uri", CALLBACK, "--json").json[
        "client_id"
    ]
    assert command("client", "disable", client_id).out == "X is disabled.\n"
    assert command("client", "disable", client_id, "--json").json["disabled"] is True
    assert "disabled" not in command("client", "enable", client_id, "--scope", "openid patient/*.rs", "--json").json
    unknown = command("client", "disable", "nobody")
    assert (unknown.code, "There is no client 'nobody'." in unknown.err) == (1, True)


def test_keys_are_rotated_and_the_old_one_stays_published(command: Command) -> None:
    before = command("keys", "list", "--json").json["keys"]
    assert [key["state"] for key in before] == ["signing", "next"]
    after = {key["kid"]: key for key in command("keys", "rotate", "--json").json["keys"]}
    assert after[before[0]["kid"]]["state"] == "retired"
    assert after[before[0]["kid"]]["until"]
    assert after[before[1]["kid"]]["state"] == "signing"
    assert len(after) == 3
    shown = command("keys", "list")
    assert "signs no more" in shown.out
    assert '"d"' not in shown.out


def test_a_service_is_registered_with_its_policy_and_shown(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(json.encode(key_set(ec())))
    words = ("client", "add", "--kind", "backend", "--name", "NEWS2", "--scope", "system/*.cruds", "--jwks", file)
    policy = ("--facility", "root", "--type", "Observation", "--type", "Task", "--purpose", "TREAT", "--advisory")
    added = command(*words, *policy, "--json").json
    expected = {"facilities": ["root"], "types": ["Observation", "Task"], "purpose": "TREAT", "advisory": True}
    assert {name: added[name] for name in expected} == expected
    shown = command("client", "show", added["client_id"], "--json").json
    assert {name: shown[name] for name in (*expected, "state")} == {**expected, "state": "active"}
    listed = command("client", "list")
    assert "facilities root" in listed.out
    assert "advises only" in listed.out
    assert "advisory" in command("client", "show", added["client_id"]).out
    assert command("client", "show", "nobody").code == 1


def test_a_policy_that_names_what_there_is_not_is_refused(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(json.encode(key_set(ec())))
    words = ("client", "add", "--kind", "backend", "--name", "X", "--scope", "system/*.rs", "--jwks", file)
    for wrong, says in (
        (("--facility", "nowhere"), "no Organization/nowhere"),
        (("--type", "Observations"), "'Observations' is not a resource type"),
        (("--purpose", "CURIOSITY"), "'CURIOSITY' is not a purpose of use"),
    ):
        refused = command(*words, *wrong)
        assert (refused.code, says in refused.err) == (1, True), refused.err
