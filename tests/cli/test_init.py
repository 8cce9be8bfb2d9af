"""`fhir-server init`, by a file and at a terminal."""

import os
import pty
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from fhir_server.access.privileges import HL7_ROLE, OWN_ROLE, of
from fhir_server.cli.answers import PRESETS, Answers, Unusable, read, slug
from fhir_server.cli.config import every
from fhir_server.cli.posts import POSTS
from fhir_server.cli.settings_file import SettingsFile, toml
from fhir_server.cli.wizard import asked
from fhir_server.facilities.establishment import KINDS, LEVELS, Establishment
from fhir_server.model import json
from fhir_server.model.reference import walk
from profiles.definitions.registry import load
from profiles.validate.validator import Validator

Run = Callable[..., Any]
PAGE = Path(__file__).parent.parent.parent / "docs" / "init.md"
ANSWERS = PAGE.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
"""The example of the documentation."""
AT_THE_KEYBOARD = (
    *("Riverside Clinic", "klinik", "Europe/Berlin", "", "clinic"),
    *("1 River Road", "10115", "Berlin", "DE"),
    *("office", "Olga", "Brandt", ""),
    *("yes", "ana", "Ana", "Grey", "Dr", "docter", "doctor, nurse"),
    *("no", "baseline"),
)


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    file = tmp_path / "answers.toml"
    file.write_text(ANSWERS)
    return file


def written(folder: Path, text: str, name: str = "answers.toml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_a_file_founds_a_clinic_and_a_second_run_changes_nothing(command: Run, answers: Path, tmp_path: Path) -> None:
    file = tmp_path / "fhir.toml"
    first = command("init", "--answers", answers, "--json", FHIR_CONFIG=str(file))
    assert first.code == 0, first.err
    assert first.json["facility"] == "Organization/riverside-clinic"
    assert first.json["stored"] == ["Organization/riverside-clinic", "Location/riverside-clinic-site"]
    office, ana = first.json["users"]
    assert (office["kind"], office["name"], office["added"]) == ("administrator", "Olga Brandt", True)
    assert ana["links"] == ["Practitioner/ana", "PractitionerRole/ana-doctor", "PractitionerRole/ana-privacy-officer"]
    assert re.fullmatch(r"http://127\.0\.0\.1:8080/auth/password\?link=[\w-]{43}", ana["link"])
    settings = tomllib.loads(file.read_text())
    assert settings["record"] == {"facility": "riverside-clinic"}
    assert settings["search"] == {"time_zone": "Europe/Berlin"}
    assert settings["auth"]["name"] == "Riverside Clinic"
    before = file.read_bytes()
    again = command("init", "--answers", answers, "--json", FHIR_CONFIG=str(file))
    assert again.code == 0, again.err
    assert (again.json["stored"], [one["added"] for one in again.json["users"]]) == ([], [False, False])
    assert again.json["settings"] == {"file": str(file), "written": False, "lacking": {}}
    assert file.read_bytes() == before


def test_what_it_founds_is_what_the_server_then_works_with(command: Run, answers: Path, tmp_path: Path) -> None:
    file = {"FHIR_CONFIG": str(tmp_path / "fhir.toml")}
    assert command("init", "--answers", answers, **file).code == 0
    shown = command("config", "--json", **file)
    assert shown.json["settings"]["record"]["facility"] == "riverside-clinic"
    users = {one["login"]: one for one in command("user", "list", "--json", **file).json["users"]}
    assert users["office@riverside.example"]["email"] == "office@riverside.example"
    assert users["ana"]["links"][0]["reference"] == "Practitioner/ana"
    assert command("doctor", "--json", **file).json["healthy"] is True


def test_more_people_in_the_file_are_added_and_those_who_have_a_password_get_no_link(
    command: Run, answers: Path, tmp_path: Path
) -> None:
    file = {"FHIR_CONFIG": str(tmp_path / "fhir.toml")}
    command("init", "--answers", answers, **file)
    command("user", "reset", "ana", "--password-stdin", typed="lantern gravel otter nine", **file)
    more = ANSWERS + '\n[[users]]\nlogin = "ben"\ngiven = "Ben"\nfamily = "Ode"\nroles = ["front-desk"]\n'
    told = command("init", "--answers", written(tmp_path, more, "more.toml"), "--json", **file).json["users"]
    assert [(one["login"], one["added"], "link" in one) for one in told] == [
        ("office@riverside.example", False, True),
        ("ana", False, False),
        ("ben", True, True),
    ]


def test_a_settings_file_that_somebody_wrote_stays_and_what_it_lacks_is_told(
    command: Run, answers: Path, tmp_path: Path
) -> None:
    file = written(tmp_path, '# ours\n[server]\nport = 9090\n\n[record]\nfacility = "riverside-clinic"\n', "own.toml")
    before = file.read_bytes()
    told = command("init", "--answers", answers, FHIR_CONFIG=str(file))
    assert told.code == 0, told.err
    assert file.read_bytes() == before
    assert '[search]\ntime_zone = "Europe/Berlin"' in told.out
    assert 'FHIR_SEARCH__TIME_ZONE="Europe/Berlin"' in told.out
    assert "facility = " not in told.out


def test_a_deployment_has_one_facility_that_keeps_what_is_created(command: Run, answers: Path, tmp_path: Path) -> None:
    file = written(tmp_path, '[record]\nfacility = "elsewhere"\n', "own.toml")
    refused = command("init", "--answers", answers, FHIR_CONFIG=str(file))
    assert (refused.code, refused.out) == (1, "")
    assert "is that of Organization/elsewhere" in refused.err


def test_an_organization_that_is_no_facility_is_not_taken_for_one(command: Run, tmp_path: Path) -> None:
    text = ANSWERS.replace('name = "Riverside Clinic"', 'name = "Riverside Clinic"\nid = "root"')
    refused = command("init", "--answers", written(tmp_path, text), FHIR_CONFIG=str(tmp_path / "fhir.toml"))
    assert refused.code == 1
    assert "Organization/root is there already and is no facility" in refused.err


def test_a_login_of_another_kind_of_person_is_not_given_roles(command: Run, answers: Path, tmp_path: Path) -> None:
    file = {"FHIR_CONFIG": str(tmp_path / "fhir.toml")}
    command("user", "add", "patient1", "--name", "Pat", "--print-link", **file)
    text = ANSWERS.replace('login = "ana"', 'login = "patient1"')
    refused = command("init", "--answers", written(tmp_path, text), **file)
    assert refused.code == 1
    assert "'patient1' is that of a person of kind patient" in refused.err


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[facility]", "[facility", "is not TOML"),
        ('"Europe/Berlin"', '"Europe/Berln"', "facility.time_zone: 'Europe/Berln' is no IANA time zone"),
        ("phone =", "fone =", "facility.fone: is not known here; known are name, kind, time_zone"),
        ("postal_code =", "zip =", "facility.address.zip: is not known here; known are line, postal_code"),
        ('name = "Riverside Clinic"', 'name = "  "', "facility.name: is empty"),
        ('name = "Riverside Clinic"', "", "facility.name: is missing"),
        ('"clinic"', '"spa"', "facility.kind: 'spa' is none of clinic"),
        ('name = "Riverside Clinic"', 'name = "R"\nid = "a b"', "facility.id: 'a b' is no logical id"),
        ('roles = ["administrator"]', 'roles = ["nurse"]', "users: nobody is administrator"),
        ('"doctor", "privacy-officer"', '"surgeon"', "users.1.roles.0: 'surgeon' is none of doctor"),
        ('"doctor", "privacy-officer"', '"doctor", "doctor"', "users.1: has no role, or one twice"),
        ('"doctor", "privacy-officer"', "", "users.1: has no role"),
        ('"doctor", "privacy-officer"', '"doctor", "administrator"', "users.1: is administrator and something else"),
        ('login = "ana"', 'login = "OFFICE@riverside.example"', "is there twice"),
        ('login = "ana"', 'login = "a na"', "users.1.login: has 1 to 200 characters and no spaces"),
        ('"ana@riverside.example"', '"ana"', "users.1.email: 'ana' is not an e-mail address"),
        ('"baseline"', '"strict"', "preset: Input should be 'baseline'"),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_pointed_at_and_nothing_else(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in ANSWERS
    with pytest.raises(Unusable) as caught:
        read(written(tmp_path, ANSWERS.replace(old, new)))
    (finding,) = caught.value.findings
    assert says in finding


def test_a_file_with_wrong_answers_stores_nothing(command: Run, tmp_path: Path) -> None:
    file = tmp_path / "fhir.toml"
    wrong = written(tmp_path, ANSWERS.replace('"doctor"', '"docter"').replace("family", "famly"))
    refused = command("init", "--answers", wrong, FHIR_CONFIG=str(file))
    assert (refused.code, refused.out, file.exists()) == (2, "", False)
    assert len(refused.err.splitlines()) == 5
    missing = command("init", "--answers", tmp_path / "none.toml", FHIR_CONFIG=str(file))
    assert (missing.code, "cannot be read" in missing.err) == (2, True)


def test_answers_are_json_too(tmp_path: Path, answers: Path) -> None:
    content = tomllib.loads(answers.read_text())
    assert read(written(tmp_path, json.encode(content).decode(), "answers.json")) == read(answers)
    with pytest.raises(Unusable, match="is not JSON"):
        read(written(tmp_path, "{", "broken.json"))


def test_somebody_at_a_terminal_answers_and_wrong_answers_are_asked_again(data_dir: Path, tmp_path: Path) -> None:
    keyboard, terminal = pty.openpty()
    environment = {
        **os.environ,
        "FHIR_CONFIG": str(tmp_path / "fhir.toml"),
        "FHIR_MONGO__URL": "mongodb://127.0.0.1:1/?replicaSet=rs0&serverSelectionTimeoutMS=300",
        "NO_COLOR": "1",
    }
    words = [
        sys.executable,
        "-c",
        "from fhir_server.cli import app; app()",
        "init",
        "--data-dir",
        str(tmp_path / "data"),
    ]
    with subprocess.Popen(
        words, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        os.close(terminal)
        os.write(keyboard, "\n".join((*AT_THE_KEYBOARD, "")).encode())
        out, err = process.communicate(timeout=60)
    os.close(keyboard)
    assert (process.returncode, out) == (1, "")  # there is no database; what was answered is kept for the next run
    assert "kind: 'klinik' is none of clinic" in err
    assert "roles.0: 'docter' is none of doctor" in err
    kept = json.decode((tmp_path / "data" / "init.json").read_bytes())
    assert [one["roles"] for one in kept["users"]] == [["administrator"], ["doctor", "nurse"]]
    assert (tmp_path / "data" / "init.json").stat().st_mode & 0o777 == 0o600


def test_who_breaks_off_is_asked_only_what_is_missing(tmp_path: Path) -> None:
    lines = iter(AT_THE_KEYBOARD[:13])

    def some(_: str, default: str) -> str:
        try:
            return next(lines) or default
        except StopIteration:
            raise typer.Abort from None

    with pytest.raises(typer.Abort):
        asked(tmp_path, some)
    rest = iter(("no", "gdpr"))
    told = asked(tmp_path, lambda _, default: next(rest) or default)
    assert (told.facility.name, told.facility.address.city, told.preset) == ("Riverside Clinic", "Berlin", "gdpr")
    assert [one.login for one in told.users] == ["office"]
    assert asked(tmp_path, lambda *_: pytest.fail("asked again")) == told


def test_without_a_keyboard_the_answers_are_a_file(command: Run) -> None:
    refused = command("init")
    assert (refused.code, "--answers" in refused.err) == (2, True)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_founded_is_valid_and_says_its_level(kind: str) -> None:
    address = {"use": "work", "city": "Berlin"}
    found = Establishment("riverside", "Riverside <&> Clinic", kind, address, "+49 30 1", "Europe/Berlin", "north")
    validator = Validator(load())
    organization, site = found.resources()
    assert [issue.text for one in (organization, site) for issue in validator.check(one) if issue.fails] == []
    assert organization["type"][0]["coding"][0] == {"system": LEVELS, "code": "facility", "display": "Facility"}
    assert organization["partOf"] == {"reference": "Organization/north"}
    assert [place["reference"] for _, place in walk(site, "")] == ["Organization/riverside"]
    assert len(Establishment("x" * 64, "X", kind).site) == 64


def test_codes_of_kinds_and_roles_are_those_of_hl7() -> None:
    definitions = load()
    known = definitions.code_system("http://terminology.hl7.org/CodeSystem/v3-RoleCode")
    codes = dict(concepts((known or {})["concept"]))
    assert {code: codes.get(code) for code, _ in KINDS.values()} == dict(KINDS.values())
    roles = dict(concepts((definitions.code_system(HL7_ROLE) or {})["concept"]))
    for name, post in POSTS.items():
        (coding,) = post["coding"]
        assert (coding["system"], coding["display"]) == (HL7_ROLE, roles.get(name)) or name not in roles, name
        assert (coding["system"] == OWN_ROLE) == (name not in roles), name
        assert of([f"{coding['system']}|{coding['code']}"], {}).areas, name


def concepts(found: list[dict[str, Any]]) -> Any:
    for concept in found:
        yield concept["code"], concept.get("display")
        yield from concepts(concept.get("concept", []))


def test_a_preset_sets_settings_that_there_are(answers: Path, tmp_path: Path) -> None:
    known = {".".join(setting.path) for setting in every()}
    for preset in PRESETS:
        told = Answers.model_validate({**tomllib.loads(answers.read_text()), "preset": preset})
        assert told.settings().keys() <= known
        file = SettingsFile(tmp_path / f"{preset}.toml")
        assert file.write(told.settings())
        assert file.lacking(told.settings()) == {}


def test_names_with_any_letters_are_written_and_read_back() -> None:
    wanted = {
        "auth.name": 'Klinik "Süd" \\ \x7f नई',
        "data_dir": "/x",
        "server.port": 1,
        "auth.staff_second_factor": True,
    }
    assert tomllib.loads(toml(wanted)) == {
        "data_dir": "/x",
        "auth": {"name": 'Klinik "Süd" \\ \x7f नई', "staff_second_factor": True},
        "server": {"port": 1},
    }


def test_ids_are_made_of_names_in_any_letters() -> None:
    assert slug("Klinik Süd, Haus 2") == "klinik-sud-haus-2"
    assert slug("مستشفى") == ""
