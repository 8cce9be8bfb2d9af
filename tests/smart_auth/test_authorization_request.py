"""Requests at the authorization endpoint, and the attacks on them."""

from dataclasses import replace

import pytest

from smart_auth import authorization_request
from smart_auth.exchange import Request
from smart_auth.protocol import Refused
from smart_auth.records import Client
from tests.smart_auth.house import BASE, CALLBACK, House

LAUNCH = "launch openid fhirUser patient/*.rs"


async def refusal(house: House, request: Request) -> Refused:
    with pytest.raises(Refused) as caught:
        await authorization_request.begin(house.realm, request)
    return caught.value


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://evil.example/callback",
        CALLBACK + "/",
        CALLBACK + "?x=1",
        CALLBACK.upper(),
        "https://app.example/callback/../other",
        "https://app.example@evil.example/callback",
        "https://app.example/%63allback",
        "javascript:alert(1)",
        '"><script>',
    ],
)
async def test_wrong_redirect_is_shown_and_never_followed(house: House, uri: str) -> None:
    error = await refusal(house, house.asking(redirect_uri=uri))
    assert error.redirect_uri == ""
    assert uri not in error.description or not uri


async def test_scheme_downgrade_of_the_redirect_is_refused(house: House) -> None:
    error = await refusal(house, house.asking(redirect_uri=CALLBACK.replace("https", "http")))
    assert error.redirect_uri == ""


async def test_a_native_app_may_use_any_port_of_its_loopback_address(house: House) -> None:
    await authorization_request.begin(house.realm, house.asking(redirect_uri="http://127.0.0.1:50123/callback"))
    for uri in (
        "http://127.0.0.1:50123/other",
        "http://127.0.0.1.evil.example:1/callback",
        "https://127.0.0.1:1/callback",
    ):
        assert (await refusal(house, house.asking(redirect_uri=uri))).redirect_uri == ""


@pytest.mark.parametrize("client_id", ["", "nobody", "backend"])
async def test_open_redirect_for_an_unknown_client_is_refused(house: House, client_id: str) -> None:
    assert (await refusal(house, house.asking(client_id=client_id))).redirect_uri == ""


async def test_a_disabled_client_is_refused_without_redirect(house: House) -> None:
    await house.disable_client("public")
    assert (await refusal(house, house.asking())).redirect_uri == ""


@pytest.mark.parametrize("client_id", ["public", "secret", "keyed"])
@pytest.mark.parametrize(
    "pkce",
    [
        {"code_challenge": ""},
        {"code_challenge_method": ""},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "s256"},
        {"code_challenge": "short"},
        {"code_challenge": "é" * 43},
    ],
)
async def test_missing_or_plain_pkce_is_refused_for_every_client(
    house: House, client_id: str, pkce: dict[str, str]
) -> None:
    error = await refusal(house, house.asking(client_id, **pkce))
    assert (error.code, error.redirect_uri) == ("invalid_request", CALLBACK)


@pytest.mark.parametrize("name", ["state", "aud", "scope", "response_type"])
async def test_a_missing_parameter_is_told_to_the_app(house: House, name: str) -> None:
    error = await refusal(house, house.asking(**{name: ""}))
    assert (error.code, error.redirect_uri) == ("invalid_request", CALLBACK)
    assert name in error.description


@pytest.mark.parametrize("name", ["scope", "state", "code_challenge", "nonce", "prompt"])
async def test_a_repeated_parameter_is_refused(house: House, name: str) -> None:
    request = house.asking(nonce="n", prompt="login")
    error = await refusal(house, replace(request, parameters=(*request.parameters, (name, "again"))))
    assert (error.code, error.redirect_uri) == ("invalid_request", CALLBACK)


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_a_repeated_client_or_redirect_is_shown_and_not_followed(house: House, name: str) -> None:
    request = house.asking()
    error = await refusal(house, replace(request, parameters=(*request.parameters, (name, "again"))))
    assert error.redirect_uri == ""


@pytest.mark.parametrize(
    "aud",
    [
        "https://evil.example/fhir",
        "http://a.example/fhir",
        "https://a.example:444/fhir",
        "https://a.example/FHIR",
        BASE + "/Patient",
        "x",
        BASE + "?a",
        "https://u@a.example/fhir",
    ],
)
async def test_a_wrong_aud_never_gets_a_code(house: House, aud: str) -> None:
    error = await refusal(house, house.asking(aud=aud))
    assert (error.code, error.redirect_uri) == ("invalid_request", CALLBACK)


@pytest.mark.parametrize("aud", [BASE + "/", "https://a.example:443/fhir", "https://A.EXAMPLE/fhir"])
async def test_the_same_base_written_otherwise_is_the_same(house: House, aud: str) -> None:
    assert await house.code(house.asking(aud=aud))


async def test_resource_is_another_name_for_aud(house: House) -> None:
    assert await house.code(house.asking(aud="", resource=BASE))


@pytest.mark.parametrize("response_type", ["token", "id_token", "code token", 'x"y\\z', "none"])
async def test_only_codes_are_given(house: House, response_type: str) -> None:
    error = await refusal(house, house.asking(response_type=response_type))
    assert (error.code, error.redirect_uri) == ("unsupported_response_type", CALLBACK)


@pytest.mark.parametrize("scope", ["system/*.rs", "nonsense", "patient/Nothing.rs", "fhirUser", "offline_access"])
async def test_a_scope_of_which_nothing_can_be_granted_is_refused(house: House, scope: str) -> None:
    assert (await refusal(house, house.asking(scope=scope))).code == "invalid_scope"


async def test_what_is_not_understood_of_a_scope_is_dropped(house: House) -> None:
    open_, _ = await house.opened(
        house.asking(scope="openid system/*.rs patient/Patient.rs patient/X.rs patient/Patient.rs?bad=1")
    )
    assert open_.asked.scope == "openid patient/Patient.rs"


async def test_a_client_gets_no_more_than_it_was_registered_for(house: House) -> None:
    client = await house.store.get(Client, "public")
    assert client
    await house.store.swap(client, replace(client, scope="patient/Observation.rs?category=a openid"))
    open_, _ = await house.opened(house.asking(scope="openid offline_access patient/*.cruds"))
    assert open_.asked.scope == "openid patient/Observation.rs?category=a"


async def test_a_context_that_only_an_ehr_knows_is_not_granted_without_one(house: House) -> None:
    open_, _ = await house.opened(house.asking(scope="launch/patient launch/imagingstudy?role=x patient/*.rs"))
    assert open_.asked.scope == "launch/patient patient/*.rs"


async def test_of_online_and_offline_access_offline_stays(house: House) -> None:
    open_, _ = await house.opened(house.asking(scope="openid online_access offline_access"))
    assert open_.asked.scope == "openid offline_access"


@pytest.mark.parametrize(
    "bad", [{"prompt": "none login"}, {"prompt": "x"}, {"max_age": "-1"}, {"max_age": "٣"}, {"max_age": "9" * 5000}]
)
async def test_a_broken_prompt_or_max_age_is_refused(house: House, bad: dict[str, str]) -> None:
    assert (await refusal(house, house.asking(**bad))).code == "invalid_request"


@pytest.mark.parametrize("bad", [{"launch": "made-up"}, {"launch": ""}])
async def test_a_launch_scope_needs_a_launch_that_was_made_here(house: House, bad: dict[str, str]) -> None:
    assert (await refusal(house, house.asking(scope=LAUNCH, **bad))).code == "invalid_request"


async def test_a_launch_without_the_scope_is_refused(house: House) -> None:
    opened = await house.launched(patient="cy")
    assert (await refusal(house, house.asking(launch=opened))).code == "invalid_request"
