"""Topics of a deployment: which R5 SubscriptionTopics are understood, and what is made of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_server.model.errors import Unprocessable
from fhir_server.subscriptions.topics import OWN_TOPICS, offered, read

Json = dict[str, Any]


def topic(**more: Any) -> Json:
    trigger = {
        "resource": "http://hl7.org/fhir/StructureDefinition/Observation",
        "supportedInteraction": ["create", "update"],
        "queryCriteria": {
            "previous": "Observation?status:not=final",
            "current": "status=final",
            "resultForCreate": "test-fails",
            "requireBoth": True,
        },
    }
    return {
        "resourceType": "SubscriptionTopic",
        "url": "http://clinic.example/topics/final",
        "title": "Results become final",
        "status": "active",
        "resourceTrigger": [trigger],
        "canFilterBy": [{"resource": "Observation", "filterParameter": "patient"}],
        "notificationShape": [{"resource": "Observation", "include": ["Observation:patient"]}],
        **more,
    }


def test_what_r5_states_is_understood() -> None:
    found = read(topic())
    (trigger,) = found.triggers
    assert (found.url, found.title) == ("http://clinic.example/topics/final", "Results become final")
    assert trigger.resource_type == "Observation"
    assert trigger.interactions == frozenset({"create", "update"})
    assert (trigger.previous, trigger.current) == ("status:not=final", "status=final")
    assert (trigger.when_created, trigger.when_deleted, trigger.both) == (False, True, True)
    assert trigger.filters == frozenset({"patient"})
    assert trigger.includes == ("Observation:patient",)


@pytest.mark.parametrize("form", ["one", "array", "bundle"])
def test_a_file_holds_one_or_several(tmp_path: Path, form: str) -> None:
    forms: dict[str, Any] = {
        "one": topic(),
        "array": [topic()],
        "bundle": {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": topic()}]},
    }
    path = tmp_path / "topics.json"
    path.write_text(json.dumps(forms[form]), encoding="utf-8")
    found = offered(path)
    assert set(found) == {one.url for one in OWN_TOPICS} | {"http://clinic.example/topics/final"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"resourceType": "Basic"},
        {"url": ""},
        {"resourceTrigger": []},
        {"eventTrigger": [{"event": {"text": "x"}, "resource": "Observation"}]},
        {"resourceTrigger": [{"resource": "Observation", "fhirPathCriteria": "true"}]},
    ],
)
def test_what_is_not_understood_is_refused_at_the_start(tmp_path: Path, wrong: Json) -> None:
    path = tmp_path / "topics.json"
    path.write_text(json.dumps(topic(**wrong)), encoding="utf-8")
    with pytest.raises(Unprocessable, match="topic"):
        offered(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unprocessable, match=r"none\.json"):
        offered(tmp_path / "none.json")
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    with pytest.raises(Unprocessable, match=r"broken\.json"):
        offered(broken)
