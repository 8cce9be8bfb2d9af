"""What a launch says, what it may say, and the look of the house."""

import json
from dataclasses import replace
from typing import Any

import pytest

from smart_auth import launch, style
from smart_auth.introspect import respond as introspect
from smart_auth.launch import NotLaunchable
from smart_auth.records import LaunchContext, User
from tests.smart_auth.house import ISSUER, House, posted

SCOPE = "launch openid fhirUser patient/*.rs offline_access"
IMAGING = {"reference": "ImagingStudy/7"}
ORDER = {
    "canonical": "https://x.example/Questionnaire/q|1",
    "type": "Questionnaire",
    "role": "https://x.example/roles/q",
}


async def test_a_launched_app_is_told_everything_and_again_after_a_refresh_and_by_introspection(house: House) -> None:
    context = launch.read(
        {
            "patient": "cy",
            "encounter": "cy-e2",
            "fhirContext": [IMAGING, ORDER],
            "intent": "reconcile-medications",
            "need_patient_banner": True,
            "tenant": "north",
            "appContext": '{"card": 7}',
        }
    )
    opened = await house.launched(**{name: getattr(context, name) for name in LaunchContext.__slots__})
    first = (await house.redeem(await house.code(house.asking(scope=SCOPE, launch=opened), "u-doc"))).body
    again = (await house.refresh(first["refresh_token"])).body
    header = {"authorization": f"Bearer {again['access_token']}"}
    seen = (await introspect(house.realm, posted({"token": again["access_token"]}, header))).body
    for body in (first, again, seen):
        assert {name: body[name] for name in ("patient", "encounter", "intent", "need_patient_banner", "tenant")} == {
            "patient": "cy",
            "encounter": "cy-e2",
            "intent": "reconcile-medications",
            "need_patient_banner": True,
            "tenant": "north",
        }
        assert body["fhirContext"] == [IMAGING, ORDER]
        assert body["appContext"] == '{"card": 7}'
        assert body["smart_style_url"] == style.url(ISSUER, house.realm.policy.style)


async def test_a_refresh_tells_the_look_of_now(house: House) -> None:
    opened = await house.launched(patient="cy")
    first = (await house.redeem(await house.code(house.asking(scope=SCOPE, launch=opened), "u-doc"))).body
    other = replace(house.realm.policy, style={**style.LOOK, "color_text": "#000000"})
    house.realm = replace(house.realm, policy=other)
    again = (await house.refresh(first["refresh_token"])).body
    assert again["smart_style_url"] != first["smart_style_url"]


async def test_a_standalone_launch_has_neither_banner_nor_look(house: House) -> None:
    body = (await house.redeem(await house.code())).body
    assert not {"need_patient_banner", "smart_style_url", "intent", "tenant", "fhirContext"} & body.keys()


def test_the_url_of_a_look_changes_with_its_content_and_only_then() -> None:
    same = dict(sorted(style.LOOK.items(), reverse=True))
    assert style.url(ISSUER, same) == style.url(ISSUER, style.LOOK)
    assert style.url(ISSUER, {**same, "color_text": "#000"}) != style.url(ISSUER, style.LOOK)
    assert json.loads(style.document(style.LOOK)) == style.LOOK


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("ImagingStudy/7", "an object"),
        ({}, "at least one"),
        ({"type": "ImagingStudy"}, "at least one"),
        ({"reference": "Patient/7"}, "member 'patient'"),
        ({"reference": "Encounter/7", "role": "launch"}, "member 'encounter'"),
        ({"identifier": {"value": "x"}, "type": "Patient"}, "member 'patient'"),
        ({**IMAGING, "role": ""}, "absolute URI"),
        ({**IMAGING, "role": "primary"}, "absolute URI"),
        ({"reference": "https://elsewhere.example/ImagingStudy/7"}, "relative"),
        ({"reference": 7}, "relative"),
    ],
)
def test_what_may_not_stand_in_the_context_is_refused(entry: Any, why: str) -> None:
    with pytest.raises(NotLaunchable, match=why):
        launch.read({"fhirContext": [entry]})


def test_a_second_patient_may_be_in_the_context_in_a_role_of_its_own() -> None:
    mother = {"reference": "Patient/m", "role": "https://x.example/roles/mother"}
    assert launch.read({"patient": "cy", "fhirContext": [mother]}).fhir_context == (mother,)


@pytest.mark.parametrize(
    "body",
    [
        {"patient": 7},
        {"need_patient_banner": "yes"},
        {"fhirContext": {}},
        {"fhirContext": [IMAGING] * 51},
        {"intent": "x" * 5000},
        {"smart_style_url": "javascript:alert(1)"},
        {"smart_style_url": "https://["},
        {"fhirContext": [{**IMAGING, "role": "https://["}]},
    ],
)
def test_a_context_of_the_wrong_shape_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(NotLaunchable):
        launch.read(body)


@pytest.mark.parametrize(
    ("user_id", "context", "why"),
    [
        ("u-ann", {"patient": "cy"}, "cannot open"),
        ("u-doc", {"patient": "nobody"}, "cannot open"),
        ("u-doc", {"encounter": "cy-e1"}, "Say which patient"),
        ("u-doc", {"patient": "ann", "encounter": "cy-e1"}, "not one of this patient"),
    ],
)
async def test_a_context_in_which_the_person_cannot_be_is_refused(
    house: House, user_id: str, context: dict[str, Any], why: str
) -> None:
    user = await house.store.get(User, user_id)
    assert user
    with pytest.raises(NotLaunchable, match=why):
        await launch.check(house.realm, user, "", launch.read(context))


async def test_an_encounter_may_be_older_than_those_that_are_shown(house: House) -> None:
    user = await house.store.get(User, "u-doc")
    assert user
    await launch.check(house.realm, user, "", LaunchContext("cy", "cy-e0"))
