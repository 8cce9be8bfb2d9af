"""The authorization endpoint, and the attacks on it."""

import asyncio
from dataclasses import replace

import pytest

from smart_auth import accounts, authorization_request, authorize, launch, sessions, tokens
from smart_auth.protocol import Refused
from smart_auth.records import Client, LaunchContext, Link, User
from smart_auth.scopes.choices import Choice
from tests.smart_auth.house import BASE, ISSUER, TYPES, House, answer_of
from tests.smart_auth.test_authorization_request import LAUNCH, refusal


async def test_a_person_agrees_and_the_app_gets_code_state_and_issuer(house: House) -> None:
    answer = await house.redirected(house.asking())
    assert answer.keys() == {"code", "state", "iss"}
    assert answer["state"] == "s t+a%te"
    assert answer["iss"] == ISSUER
    assert "consent-given" in house.kinds


@pytest.mark.parametrize("state", ["a+b%20c&d=e#f", "ключ", "a b", '"\\'])
async def test_the_state_comes_back_byte_for_byte(house: House, state: str) -> None:
    assert (await house.redirected(house.asking(state=state)))["state"] == state


async def test_mix_up_is_answered_with_the_issuer_in_refusals_too(house: House) -> None:
    open_, _ = await house.opened(house.asking())
    answer = answer_of(await authorize.refuse(house.realm, open_))
    assert (answer["error"], answer["iss"], answer["state"]) == ("access_denied", ISSUER, "s t+a%te")
    assert "consent-refused" in house.kinds


async def test_a_request_is_answered_once(house: House) -> None:
    open_, _ = await house.opened(house.asking())
    choice = Choice(["Patient"], {})
    results = await asyncio.gather(
        *(authorize.agree(house.realm, open_, choice) for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(result, str) for result in results) == 1


async def test_a_request_that_is_too_old_is_over(house: House) -> None:
    handle = await authorization_request.begin(house.realm, house.asking())
    house.clock.pass_(minutes=10)
    with pytest.raises(Refused, match="too old"):
        await authorize.find(house.realm, handle, None, None)


async def test_csrf_on_consent_another_session_cannot_answer_a_request(house: House) -> None:
    handle = await authorization_request.begin(house.realm, house.asking())
    session, user = await house.signed_in("u-ann")
    await authorize.advance(house.realm, await authorize.find(house.realm, handle, session, user))
    other, person = await house.signed_in("u-bo")
    with pytest.raises(Refused, match="Somebody else"):
        await authorize.find(house.realm, handle, other, person)
    with pytest.raises(Refused, match="Somebody else"):
        await authorize.find(house.realm, handle, None, None)


async def test_csrf_form_tokens_belong_to_one_session_and_one_purpose(house: House) -> None:
    session, _ = await house.signed_in()
    other, _ = await house.signed_in()
    token = sessions.form_token(session, "consent request-1")
    assert sessions.is_form_token(session, "consent request-1", token)
    assert not sessions.is_form_token(session, "consent request-2", token)
    assert not sessions.is_form_token(other, "consent request-1", token)
    assert not sessions.is_form_token(session, "consent request-1", "\ud800é")


async def test_session_fixation_finds_no_session_before_the_sign_in(house: House) -> None:
    assert await sessions.current(house.realm, "chosen-by-the-attacker") is None
    user = await house.store.get(User, "u-ann")
    assert user
    first, _ = await sessions.begin(house.realm, user, ("pwd",))
    second, _ = await sessions.begin(house.realm, user, ("pwd",))
    assert first != second


async def test_prompt_none_asks_nobody_anything(house: House) -> None:
    handle = await authorization_request.begin(house.realm, house.asking(prompt="none"))
    with pytest.raises(Refused) as caught:
        await authorize.advance(house.realm, await authorize.find(house.realm, handle, None, None))
    assert caught.value.code == "login_required"
    with pytest.raises(Refused) as caught:
        await house.opened(house.asking(prompt="none"))
    assert caught.value.code == "consent_required"
    with pytest.raises(Refused) as caught:
        await house.opened(house.asking(prompt="none"), "u-doc")
    assert caught.value.code == "interaction_required"


async def test_prompt_none_goes_through_where_the_person_agreed_before(house: House) -> None:
    await house.redeem(await house.code())
    _, step = await house.opened(house.asking(prompt="none"))
    assert step == "done"


@pytest.mark.parametrize("prompt", ["login", "select_account"])
async def test_prompt_login_wants_a_sign_in_after_the_request(house: House, prompt: str) -> None:
    session, user = await house.signed_in()
    house.clock.pass_(seconds=1)
    handle = await authorization_request.begin(house.realm, house.asking(prompt=prompt))
    found = await authorize.find(house.realm, handle, session, user)
    assert (await authorize.advance(house.realm, found))[1] == "sign-in"
    again, user = await house.signed_in()
    found = await authorize.find(house.realm, handle, again, user)
    assert (await authorize.advance(house.realm, found))[1] == "consent"


async def test_max_age_wants_a_sign_in_that_is_not_older(house: House) -> None:
    session, user = await house.signed_in()
    house.clock.pass_(seconds=61)
    handle = await authorization_request.begin(house.realm, house.asking(max_age="60"))
    assert await authorize.step(house.realm, await authorize.find(house.realm, handle, session, user)) == "sign-in"


async def test_max_age_0_asks_for_the_password_once(house: House) -> None:
    session, user = await house.signed_in()
    house.clock.pass_(seconds=1)
    handle = await authorization_request.begin(house.realm, house.asking(max_age="0"))
    assert await authorize.step(house.realm, await authorize.find(house.realm, handle, session, user)) == "sign-in"
    house.clock.pass_(seconds=1)
    again, user = await house.signed_in()
    house.clock.pass_(seconds=1)
    _, step = await authorize.advance(house.realm, await authorize.find(house.realm, handle, again, user))
    assert step == "consent"


async def test_a_patient_needs_no_picker_and_a_proxy_does(house: House) -> None:
    open_, step = await house.opened(house.asking(), "u-ann")
    assert (step, open_.asked.context.patient) == ("consent", "ann")
    open_, step = await house.opened(house.asking(), "u-bo")
    assert step == "patient"
    chosen = await authorize.choose(house.realm, open_, patient="ann")
    assert await authorize.step(house.realm, chosen) == "consent"


async def test_patient_switching_in_the_picker_is_refused(house: House) -> None:
    open_, _ = await house.opened(house.asking(), "u-bo")
    with pytest.raises(Refused, match="cannot open"):
        await authorize.choose(house.realm, open_, patient="cy")


async def test_patient_scopes_without_a_wish_for_context_still_get_a_patient(house: House) -> None:
    _, step = await house.opened(house.asking(scope="patient/Patient.rs"), "u-doc")
    assert step == "patient"
    body = (await house.redeem(await house.code(house.asking(scope="patient/Patient.rs"), "u-doc", patient="cy"))).body
    assert body["patient"] == "cy"
    assert body["scope"] == "patient/Patient.rs launch/patient"


async def test_an_encounter_is_one_of_the_patient(house: House) -> None:
    asking = house.asking(scope="launch/patient launch/encounter patient/*.rs")
    open_, _ = await house.opened(asking, "u-doc")
    open_ = await authorize.choose(house.realm, open_, patient="cy")
    assert await authorize.step(house.realm, open_) == "encounter"
    with pytest.raises(Refused, match="not an encounter"):
        await authorize.choose(house.realm, open_, encounter="ann-e1")
    body = (await house.redeem(await house.code(asking, "u-doc", patient="cy"))).body
    assert (body["patient"], body["encounter"]) == ("cy", "cy-e1")


async def test_staff_with_two_roles_choose_one_and_no_other(house: House) -> None:
    handle = await authorization_request.begin(house.realm, house.asking(scope="openid fhirUser user/*.rs"))
    session, user = await house.signed_in("u-two")
    open_, step = await authorize.advance(house.realm, await authorize.find(house.realm, handle, session, user))
    assert step == "role"
    with pytest.raises(ValueError, match="no such role"):
        await sessions.act_as(house.realm, session, user, "Practitioner/grey")
    session = await sessions.act_as(house.realm, session, user, "PractitionerRole/b")
    assert await authorize.step(house.realm, replace(open_, session=session)) == "consent"


@pytest.mark.parametrize("links", ["Practitioner/grey PractitionerRole/a PractitionerRole/b", "PractitionerRole/b"])
async def test_the_role_is_kept_in_the_grant_and_the_app_is_told_who_the_person_is(house: House, links: str) -> None:
    doc = await house.store.get(User, "u-doc")
    assert doc
    assert await house.store.swap(doc, replace(doc, links=tuple(Link(one) for one in links.split())))
    handle = await authorization_request.begin(house.realm, house.asking(scope="openid fhirUser user/*.rs"))
    session, user = await house.signed_in("u-doc")
    session = await sessions.act_as(house.realm, session, user, "PractitionerRole/b")
    open_, _ = await authorize.advance(house.realm, await authorize.find(house.realm, handle, session, user))
    code = answer_of(await authorize.agree(house.realm, open_, Choice(["Patient"], {})))["code"]
    bearer = await tokens.find(house.realm, (await house.redeem(code)).body["access_token"])
    assert bearer
    await sessions.act_as(house.realm, session, user, links.split()[-2:][0])
    assert bearer.grant.fhir_user == links.split(maxsplit=1)[0]
    assert bearer.acting_as == "PractitionerRole/b"


async def test_staff_with_one_role_are_not_asked_and_are_the_practitioner_who_holds_it(house: House) -> None:
    await accounts.link(house.realm, "doc", [Link("PractitionerRole/day")])
    code = await house.code(house.asking(scope="openid fhirUser user/*.rs"), "u-doc")
    bearer = await tokens.find(house.realm, (await house.redeem(code)).body["access_token"])
    assert bearer
    assert (bearer.grant.fhir_user, bearer.acting_as) == ("Practitioner/grey", "PractitionerRole/day")


async def test_a_grant_keeps_its_role_when_the_person_takes_another_and_ends_with_it(house: House) -> None:
    await accounts.link(house.realm, "doc", [Link("PractitionerRole/day"), Link("PractitionerRole/night")])
    session, user = await house.signed_in("u-doc")
    handle = await authorization_request.begin(house.realm, house.asking(scope="openid fhirUser user/*.rs"))
    session = await sessions.act_as(house.realm, session, user, "PractitionerRole/night")
    open_, step = await authorize.advance(house.realm, await authorize.find(house.realm, handle, session, user))
    assert step == "consent"
    answer = answer_of(await authorize.agree(house.realm, open_, Choice(TYPES, {})))
    text = (await house.redeem(answer["code"])).body["access_token"]
    await sessions.act_as(house.realm, session, user, "PractitionerRole/day")
    bearer = await tokens.find(house.realm, text)
    assert bearer
    assert (bearer.grant.fhir_user, bearer.acting_as) == ("Practitioner/grey", "PractitionerRole/night")
    await accounts.unlink(house.realm, "doc", {"PractitionerRole/night"})
    assert await tokens.find(house.realm, text) is None


async def test_a_role_that_ended_is_chosen_anew(house: House) -> None:
    await accounts.link(house.realm, "two", [Link("PractitionerRole/c")])
    session, user = await house.signed_in("u-two")
    session = await sessions.act_as(house.realm, session, user, "PractitionerRole/c")
    user = await accounts.unlink(house.realm, "two", {"PractitionerRole/c"})
    handle = await authorization_request.begin(house.realm, house.asking(scope="openid fhirUser user/*.rs"))
    _, step = await authorize.advance(house.realm, await authorize.find(house.realm, handle, session, user))
    assert step == "role"


async def test_an_ehr_launch_carries_its_context(house: House) -> None:
    opened = await house.launched(patient="cy", encounter="cy-e2", intent="review", need_patient_banner=True)
    body = (await house.redeem(await house.code(house.asking(scope=LAUNCH, launch=opened), "u-doc"))).body
    assert (body["patient"], body["encounter"], body["intent"], body["need_patient_banner"]) == (
        "cy",
        "cy-e2",
        "review",
        True,
    )


async def test_an_ehr_launch_says_that_no_banner_is_needed(house: House) -> None:
    opened = await house.launched(patient="cy")
    body = (await house.redeem(await house.code(house.asking(scope=LAUNCH, launch=opened), "u-doc"))).body
    assert body["need_patient_banner"] is False


async def test_a_launch_is_used_once(house: House) -> None:
    opened = await house.launched(patient="cy")
    first, _ = await house.opened(house.asking(scope=LAUNCH, launch=opened), "u-doc")
    second, _ = await house.opened(house.asking(scope=LAUNCH, launch=opened), "u-doc")
    choice = Choice(["Patient"], {})
    assert "code" in answer_of(await authorize.agree(house.realm, first, choice))
    with pytest.raises(Refused):
        await authorize.agree(house.realm, second, choice)
    assert (await refusal(house, house.asking(scope=LAUNCH, launch=opened))).code == "invalid_request"


async def test_patient_switching_through_launch_the_launch_of_somebody_else_is_refused(house: House) -> None:
    opened = await house.launched("u-doc", patient="cy")
    with pytest.raises(Refused, match="somebody else"):
        await house.opened(house.asking(scope=LAUNCH, launch=opened), "u-ann")


async def test_patient_switching_through_launch_a_launch_for_another_app_is_refused(house: House) -> None:
    opened = await house.launched(client_id="secret", patient="cy")
    assert (await refusal(house, house.asking(scope=LAUNCH, launch=opened))).code == "invalid_request"


async def test_patient_switching_through_launch_the_patient_of_a_launch_stays(house: House) -> None:
    opened = await house.launched(patient="cy")
    open_, _ = await house.opened(house.asking(scope=LAUNCH + " launch/patient", launch=opened), "u-doc")
    with pytest.raises(Refused, match="cannot be chosen"):
        await authorize.choose(house.realm, open_, patient="ann")


async def test_patient_switching_through_launch_to_a_patient_whom_the_person_may_not_open_is_refused(
    house: House,
) -> None:
    opened = await house.launched("u-ann", patient="cy")
    with pytest.raises(Refused, match="may not open"):
        await house.opened(house.asking(scope=LAUNCH, launch=opened), "u-ann")


async def test_a_launch_that_is_too_old_is_refused(house: House) -> None:
    opened = await house.launched(patient="cy")
    house.clock.pass_(minutes=5)
    assert (await refusal(house, house.asking(scope=LAUNCH, launch=opened))).code == "invalid_request"


async def test_an_app_is_launched_at_a_registered_uri_only(house: House) -> None:
    client, user = await house.store.get(Client, "public"), await house.store.get(User, "u-doc")
    assert client
    assert user
    with pytest.raises(launch.NotLaunchable):
        await launch.mint(house.realm, client, user, LaunchContext(), launch_uri="https://evil.example/launch")
    opened = await launch.mint(house.realm, client, user, LaunchContext())
    assert answer_of(opened.url) == {"iss": BASE, "launch": opened.launch}


async def test_what_the_person_leaves_out_is_not_granted(house: House) -> None:
    asking = house.asking(scope="openid patient/Patient.read patient/Condition.read offline_access")
    code = await house.code(asking, choice=Choice(["Patient"], {}, offline=False))
    body = (await house.redeem(code)).body
    assert body["scope"] == "openid patient/Patient.read launch/patient"
    assert "refresh_token" not in body


async def test_a_person_who_leaves_everything_out_has_refused(house: House) -> None:
    answer = await house.redirected(house.asking(scope="patient/Patient.rs"), choice=Choice([], {}))
    assert answer["error"] == "access_denied"


async def test_consent_cannot_be_skipped_by_sending_no_choice(house: House) -> None:
    open_, step = await house.opened(house.asking())
    assert step == "consent"
    with pytest.raises(Refused):
        await authorize.agree(house.realm, open_, None)


@pytest.mark.parametrize(
    "more",
    [
        {"scope": "openid fhirUser launch/patient patient/*.cruds"},
        {"prompt": "consent"},
        {"redirect_uri": "com.example.app:/callback"},
    ],
)
async def test_the_person_is_asked_again_for_more_or_where_another_app_may_pretend(
    house: House, more: dict[str, str]
) -> None:
    await house.redeem(await house.code())
    _, step = await house.opened(house.asking(**more))
    assert step == "consent"


async def test_a_consent_that_was_never_redeemed_or_was_taken_back_is_asked_for_again(house: House) -> None:
    await house.code()
    assert (await house.opened(house.asking()))[1] == "consent"
    await house.redeem(await house.code())
    await house.store.end_grants(house.clock(), "person", user_id="u-ann")
    assert (await house.opened(house.asking()))[1] == "consent"
