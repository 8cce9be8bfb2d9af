"""The commands beside `serve` and `load`: help, config, doctor, demo."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from fhir_server.cli import app
from fhir_server.cli.config import consequences
from fhir_server.demo import country
from fhir_server.demo.accounts import ACCOUNTS
from fhir_server.settings import Auth, Messages, Settings
from tests.cli.conftest import Command

Run = Callable[..., Any]


def test_help_lists_every_command_and_is_quick_about_it(command: Run) -> None:
    shown = command("--help")
    assert shown.code == 0
    for name in (
        "init",
        "serve",
        "load",
        "demo",
        "reindex",
        "doctor",
        "config",
        "token",
        "user",
        "client",
        "keys",
        "definitions",
    ):
        assert name in shown.out


def leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that does something, below groups of commands."""
    for name, node in getattr(tree, "commands", {}).items():
        yield from leaves(node, (*path, name))
    if not hasattr(tree, "commands"):
        yield path, tree


def test_every_command_takes_a_data_directory_and_speaks_json() -> None:
    found = dict(leaves(get_command(app)))
    assert {
        ("init",),
        ("serve",),
        ("load",),
        ("demo",),
        ("reindex",),
        ("doctor",),
        ("config",),
        ("token",),
        ("definitions", "build"),
        *(("user", name) for name in ("add", "list", "change", "disable", "enable", "link", "reset")),
        *(("client", name) for name in ("add", "list", "rotate", "disable", "enable")),
        *(("keys", name) for name in ("list", "rotate")),
    } <= found.keys()
    for path, node in found.items():
        options = {option: parameter for parameter in node.params for option in parameter.opts}
        assert {"--data-dir", "--json"} <= options.keys(), path
        assert options["--json"].is_flag, path


def test_commands_that_need_no_data_directory_take_one_all_the_same(command: Run, tmp_path: Path) -> None:
    shown = command("definitions", "show", "--json", "--data-dir", tmp_path)
    assert shown.code == 0, shown.err
    assert shown.json["counts"]
    assert not [*tmp_path.iterdir()]


def test_config_masks_secrets_and_says_where_values_come_from(command: Run) -> None:
    url = "mongodb://app:hush@db.example/?replicaSet=rs0"
    shown = command("config", FHIR_MONGO__URL=url, FHIR_SERVER__PORT="9999")
    assert shown.code == 0
    assert "hush" not in shown.out
    assert "9999" in shown.out
    assert "environment" in shown.out
    told = command("config", "--json", FHIR_MONGO__URL=url, FHIR_AUTH__MODE="open")
    assert told.json["settings"]["mongo"]["url"] == "**********"
    assert any("TLS" in warning for warning in told.json["warnings"])
    assert any("open" in warning for warning in told.json["warnings"])


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ({}, "messages.way is folder"),
        ({"way": "smtp", "host": "mail.example", "security": "none"}, "messages.security is none"),
        ({"way": "smtp", "host": "127.0.0.1", "security": "none"}, ""),
        ({"way": "smtp", "host": "mail.example"}, ""),
    ],
)
def test_config_warns_of_letters_that_stay_or_travel_in_clear(messages: dict[str, Any], says: str) -> None:
    settings = Settings(auth=Auth(mode="smart"), messages=Messages(**messages))
    found = [text for text in consequences(settings) if text.startswith("messages.")]
    assert [text.partition(":")[0] for text in found] == ([says] if says else [])


def test_a_wrong_setting_is_named_with_its_remedy(command: Run) -> None:
    refused = command("config", FHIR_SERVER__PORT="many")
    assert refused.code == 2
    assert "server.port" in refused.err
    misspelt = command("config", FHIR_SEVER__PORT="1")
    assert misspelt.code == 2
    assert "FHIR_SEVER__PORT" in misspelt.err


def test_the_demo_loads_once_and_the_doctor_finds_it_healthy(command: Run) -> None:
    first = command("demo", "--json")
    assert first.code == 0, first.err
    assert first.json["created"]["Patient"] == country.PATIENTS
    assert first.json["refused"] == 0
    logins = {one["login"]: one["password"] for one in first.json["signIn"]["people"]}
    assert logins.keys() == {account.login for account in ACCOUNTS}
    again = command("demo")
    assert again.code == 0
    assert "there already" in again.out
    assert all(password in again.out for password in logins.values())
    examined = command("doctor", "--all", "--json")
    assert examined.code == 0, examined.out
    assert examined.json["healthy"] is True


def test_the_demo_has_three_scales(command: Run) -> None:
    refused = command("demo", "--scale", "7")
    assert refused.code == 2
    assert "1, 10, 100" in refused.err


def test_the_doctor_names_what_stops_it(command: Run) -> None:
    sick = command(
        "doctor", "--json", FHIR_MONGO__URL="mongodb://127.0.0.1:1/?replicaSet=rs0&serverSelectionTimeoutMS=300"
    )
    assert sick.code == 1
    assert sick.json["healthy"] is False
    assert any(row["level"] == "error" and row["remedy"] for row in sick.json["findings"])


def test_the_effective_policy_is_shown_with_its_hash(command: Command) -> None:
    found = command("policy", "--json").json
    assert len(found["hash"]) == 16
    assert found["settings"]["access"]["labels"] == ["PSY", "ETH", "HIV", "SDV", "R", "V"]
    changed = command("policy", "--json", FHIR_ACCESS__LABELLING="off").json
    assert changed["hash"] != found["hash"]
    shown = command("policy").out
    assert shown.startswith(f"policy {found['hash']} (preset baseline)\n")
    assert "role doctor:" in shown
