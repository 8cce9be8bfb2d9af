"""`fhir-server token`."""

from collections.abc import Callable
from typing import Any

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
