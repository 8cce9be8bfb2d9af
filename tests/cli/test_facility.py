"""`fhir-server facility`: a country is put together, a clinic joins and leaves, and what cannot be is one sentence."""

import pytest

from tests.cli.conftest import Command


@pytest.fixture(scope="module", autouse=True)
def country(command: Command) -> None:
    for words in (
        ("land", "--level", "sovereign", "--name", "Land"),
        ("net", "--level", "network", "--name", "Care Network", "--parent", "land"),
        ("clinic", "--name", "A Clinic", "--parent", "land"),
        ("solo", "--name", "Dr Solo", "--kind", "practice"),
    ):
        added = command("facility", "add", *words)
        assert added.code == 0, added.err


def test_a_facility_has_its_site_and_is_added_once(command: Command) -> None:
    again = command("facility", "add", "clinic", "--name", "Another", "--parent", "land")
    assert (again.code, again.err) == (1, "error: Organization/clinic is there already.\n")
    more = command("facility", "add", "ward", "--level", "department", "--name", "Ward", "--parent", "clinic", "--json")
    assert more.json == {"added": ["Organization/ward"]}
    site = command("facility", "add", "branch", "--name", "Branch", "--json")
    assert site.json == {"added": ["Organization/branch", "Location/branch-site"]}
    wrong = command("facility", "add", "x", "--name", "X", "--kind", "castle")
    assert wrong.code == 2
    assert "clinic, practice" in wrong.err


def test_a_clinic_joins_and_leaves_a_network(command: Command) -> None:
    joined = command("facility", "join", "clinic", "net", "--treatment-access", "relationship", "--emergency", "--json")
    assert joined.code == 0, joined.err
    assert joined.json["joined"] == "clinic"
    members = command("facility", "tree", "--members", "--json")
    assert [(one["id"], [each["id"] for each in one["below"]]) for one in members.json["organizations"]] == [
        ("net", ["clinic"])
    ]
    again = command("facility", "join", "clinic", "net")
    assert again.code == 1
    assert again.err.startswith("error: Organization/clinic is a member of Organization/net already")
    left = command("facility", "leave", "clinic", "net")
    assert (left.code, left.out) == (0, "Organization/clinic has left Organization/net.\n")
    again = command("facility", "leave", "clinic", "net")
    assert (again.code, again.err) == (1, "error: Organization/clinic is no member of Organization/net.\n")


def test_an_organization_moves_and_no_circle_comes_of_it(command: Command) -> None:
    moved = command("facility", "move", "solo", "--to", "land")
    assert (moved.code, moved.out) == (0, "Organization/solo is part of Organization/land.\n")
    shown = command("facility", "tree", "land")
    assert shown.out.split()[:2] == ["land", "sovereign"]
    assert "solo facility  Dr Solo" in shown.out
    circle = command("facility", "move", "land", "--to", "solo")
    assert circle.code == 1
    assert circle.err.startswith("error: Organization/land would be part of itself")
    top = command("facility", "move", "solo", "--to", "", "--json")
    assert top.json == {"moved": "solo", "to": ""}
    nowhere = command("facility", "tree", "nowhere")
    assert (nowhere.code, nowhere.err) == (1, "error: There is no Organization/nowhere.\n")
