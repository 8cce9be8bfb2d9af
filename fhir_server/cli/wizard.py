"""The questions of `init` at a terminal. What was answered is kept in the data directory, so that nothing is asked twice."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from fhir_server.cli.answers import (
    PRESETS,
    AddressAnswers,
    Answers,
    FacilityAnswers,
    PersonAnswers,
    Preset,
    Section,
    findings,
)
from fhir_server.cli.options import errors
from fhir_server.cli.posts import ADMINISTRATOR, POSTS
from fhir_server.facilities.establishment import KINDS
from fhir_server.model import json

KEPT = "init.json"
"""File in the data directory with what was answered so far."""

FACILITY = (
    ("name", "Name"),
    ("kind", f"Kind ({', '.join(KINDS)})"),
    ("time_zone", "Time zone"),
    ("phone", "Telephone"),
)
ADDRESS = (("line", "Street and number"), ("postal_code", "Postal code"), ("city", "Town"), ("country", "Country"))
PERSON = (
    ("login", "Login, such as an e-mail address"),
    ("given", "Given name"),
    ("family", "Family name"),
    ("prefix", "Title, such as Dr"),
)
WORK = (
    "roles",
    f"What the person does ({', '.join(code for code in POSTS if code != ADMINISTRATOR)}; several with commas)",
)

S = TypeVar("S", bound=Section)
Questions = tuple[tuple[str, str], ...]
Ask = Callable[[str, str], str]


def asked(data_dir: Path, ask: Ask | None = None) -> Answers:
    """Return what somebody at the keyboard answers.

    Args:
        data_dir: Where answers are kept from one run to the next.
        ask: Takes a question and the answer that Enter gives.

    Raises:
        typer.Abort: The person broke off; what was answered is kept.
    """
    prompt = ask or _prompt
    file = data_dir / KEPT
    known = _kept(file)

    def keep(name: str, value: Any) -> None:
        known[name] = value
        data_dir.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
            opened.write(json.encode(known))

    if "facility" not in known:
        errors.print("The facility")
        facility = _section(FacilityAnswers, FACILITY, {"kind": "clinic", "time_zone": here(), "phone": ""}, prompt)
        where = _section(AddressAnswers, ADDRESS, dict.fromkeys((name for name, _ in ADDRESS), ""), prompt)
        keep("facility", {**facility.model_dump(mode="json"), "address": where.model_dump(mode="json")})
    people: list[dict[str, Any]] = known.get("users", [])
    if not people:
        errors.print("\nThe administrator, who lets others in and sees no clinical data")
        keep("users", [_person(PERSON, {"roles": [ADMINISTRATOR]}, prompt)])
        people = known["users"]
    if "preset" not in known:
        while prompt("\nIs there anybody else who works there? (yes, no)", "yes").lower().startswith("y"):
            person = _person((*PERSON, WORK), {}, prompt)
            if any(person["login"] == other["login"] for other in people):
                errors.print(f"[red]'{person['login']}' is there already.[/]")
                continue
            people = [*people, person]
            keep("users", people)
        keep("preset", _preset(prompt))
    return Answers.model_validate(known)


def here() -> str:
    """Return the IANA time zone of this machine, `UTC` where it does not say."""
    try:
        found = os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
        return FacilityAnswers(name="here", time_zone=os.environ.get("TZ") or found).time_zone
    except ValidationError:
        return "UTC"


def _person(questions: Questions, said: Mapping[str, Any], prompt: Ask) -> dict[str, Any]:
    return _section(PersonAnswers, questions, {"prefix": ""}, prompt, said).model_dump(mode="json")


def _section(
    model: type[S],
    questions: Questions,
    defaults: Mapping[str, str],
    prompt: Ask,
    said: Mapping[str, Any] | None = None,
) -> S:
    """Return the answers of a group; what cannot be is asked again."""
    given: dict[str, Any] = {**(said or {})}
    pending = questions
    while True:
        for name, text in pending:
            given[name] = _taken(model, name, prompt(text, defaults.get(name, "")))
        try:
            return model.model_validate(given)
        except ValidationError as error:
            wrong = list(findings(error, model))
            for _, text in wrong:
                errors.print(f"[red]{text}[/]", soft_wrap=True)
            places = {place.partition(".")[0] for place, _ in wrong}
            pending = tuple(one for one in questions if one[0] in places) or questions


def _taken(model: type[BaseModel], name: str, text: str) -> Any:
    """Return an answer in the form of its field: one text, or several."""
    if model.model_fields[name].annotation is str:
        return text
    words = text.split(",") if name == "roles" else [text]
    return [word.strip() for word in words if word.strip()]


def _preset(prompt: Ask) -> Preset:
    while True:
        answer = prompt(f"\nPreset of the settings ({', '.join(PRESETS)})", "baseline")
        for preset in PRESETS:
            if preset == answer:
                return preset
        errors.print(f"[red]'{answer}' is none of {', '.join(PRESETS)}[/]")


def _prompt(text: str, default: str) -> str:
    """Return a line from the keyboard; the question goes to stderr, for stdout belongs to the command's answer."""
    errors.print(f"{text} [{default}]:" if default else f"{text}:", end=" ", markup=False, soft_wrap=True)
    line = sys.stdin.readline()
    if not line:
        raise typer.Abort
    return line.strip() or default


def _kept(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.parse(file.read_bytes())
    except FileNotFoundError:
        return {}
    errors.print(f"Going on with what was answered before ({file}; remove it to begin anew).", soft_wrap=True)
    return found
