"""`fhir-server init`: from nothing to a facility whose people can sign in. Running it again changes nothing."""

import asyncio
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from fhir_server.cli.administering import mendable
from fhir_server.cli.options import (
    AsJson,
    DataDir,
    complain,
    expected_failures,
    print_json,
    quiet_logs,
    settings_of,
)
from fhir_server.settings import Settings

if TYPE_CHECKING:
    from fhir_server.cli.answers import Answers
    from fhir_server.cli.founding import Founded
    from fhir_server.cli.settings_file import SettingsFile

AnswersFile = Annotated[
    Path | None,
    typer.Option("--answers", help="TOML or JSON file with the answers.", show_default="asked at the keyboard"),
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What there is now.

    Attributes:
        facility: Organization id of the facility.
        stored: Names of the resources that were missing.
        people: Who can sign in.
        file: The file of settings.
        written: Whether that was made just now.
        lacking: Settings that the file does not have and should.
    """

    facility: str
    stored: list[str]
    people: list["Founded"]
    file: Path
    written: bool
    lacking: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return it for scripts."""
        return {
            "facility": f"Organization/{self.facility}",
            "stored": self.stored,
            "users": [one.as_json() for one in self.people],
            "settings": {"file": str(self.file), "written": self.written, "lacking": self.lacking},
        }


def init(*, answers: AnswersFile = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Found a facility: its Organization and site, who works there, and the settings that follow. `serve` is next.

    Everybody gets a link to choose a password. What is there already stays as it is, and an interrupted run is gone on with
    by the same command.
    """
    settings = settings_of(data_dir)
    told = _answers(answers, settings.data_dir)
    settings, file, written = _settings(told, data_dir)
    lacking = file.lacking(_wanted(told, data_dir))
    keeper = settings.record.facility
    if keeper not in {"", told.facility.organization}:
        complain(
            f"This deployment is that of Organization/{keeper} (setting record.facility). Answer facility.id = "
            f"'{keeper}', or add the facility beside it: fhir-server facility add."
        )
        raise typer.Exit(1)
    quiet_logs()
    with expected_failures(), mendable():
        stored, people = asyncio.run(_found(settings, told))
    outcome = Outcome(told.facility.organization, stored, people, file.path, written, lacking)
    if as_json:
        print_json(outcome.as_json())
    else:
        _say(outcome, settings.service_base)


def _answers(file: Path | None, data_dir: Path) -> "Answers":
    from fhir_server.cli.answers import Unusable, read
    from fhir_server.cli.wizard import asked

    if file is None and not sys.stdin.isatty():
        complain(
            "Nobody sits at a keyboard here. Write the answers into a file and give it with --answers (docs/init.md)."
        )
        raise typer.Exit(2)
    try:
        return read(file) if file else asked(data_dir)
    except Unusable as error:
        for finding in error.findings:
            complain(finding, "answers")
        raise typer.Exit(2) from None


def _wanted(answers: "Answers", data_dir: Path | None) -> dict[str, Any]:
    where = {} if data_dir is None else {"data_dir": str(data_dir.absolute())}
    return {**where, **answers.settings()}


def _settings(answers: "Answers", data_dir: Path | None) -> tuple[Settings, "SettingsFile", bool]:
    """Write the file of settings where there is none, and return the settings of then.

    The sign-in of people is prepared whatever the mode is.
    """
    from fhir_server.cli.settings_file import SettingsFile

    file = SettingsFile.of_now()
    try:
        written = file.write(_wanted(answers, data_dir))
    except OSError as error:
        complain(f"{file.path} cannot be written ({error.strerror}); the settings are told at the end.", "settings")
        written = False
    return settings_of(data_dir, auth={"mode": "smart"}), file, written


async def _found(settings: Settings, answers: "Answers") -> tuple[list[str], list["Founded"]]:
    from fhir_server.cli import founding
    from fhir_server.main import running

    async with running(settings) as service:
        stored = await founding.facility(service, answers.facility.establishment())
        return stored, await founding.people(service, answers)


def _say(outcome: Outcome, base: str) -> None:
    from fhir_server.cli.settings_file import toml, variables

    say = partial(Console(highlight=False).print, soft_wrap=True, markup=False)
    for name in outcome.stored:
        say(f"{name} is stored.")
    if not outcome.stored:
        say(f"Organization/{outcome.facility} is there already.")
    for one in outcome.people:
        say(f"{one.user.login} ({one.user.name}, {one.user.kind}) {'is added' if one.added else 'is there already'}.")
        if one.link:
            say(f"  chooses a password, once, within a day: {one.link}")
    if outcome.written:
        say(f"{outcome.file} is written.")
    elif outcome.lacking:
        say(f"\n{outcome.file} stays as it is. Put this into it:\n\n{toml(outcome.lacking)}")
        say(f"or set {' '.join(variables(outcome.lacking))}")
    pages = base.removesuffix("/fhir")
    say(f"\nStart the server with `fhir-server serve`; people sign in at {pages}/auth/apps.")
