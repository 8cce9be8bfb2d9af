"""The people, the app and the service of the demo, on the ground of the country and its first patients."""

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from fhir_server.cli import demo_accounts
from fhir_server.cli.posting import Poster
from fhir_server.demo import country
from fhir_server.demo.accounts import ACCOUNTS
from fhir_server.main import Service, running
from fhir_server.model import json
from fhir_server.settings import Mongo, Settings
from smart_auth import accounts, people, token_endpoint
from smart_auth.exchange import Request
from smart_auth.realm import Realm
from tests.smart_auth.house import QUICK

HERE = Request(address="192.0.2.1")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(
    data_dir: Path, mongo_url: object, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    settings = Settings(data_dir=data_dir, mongo=Mongo(database=f"demo_{uuid4().hex[:8]}", cache_gb=0.25))
    own = settings.model_copy(update={"data_dir": tmp_path_factory.mktemp("demo")})
    async with running(settings) as service:
        poster = Poster(service)
        for shipment in (*country.ground(), *islice(country.patients(), 2)):
            assert (await poster.post(shipment.bundle, shipment.facility)).status == 200
        yield replace(service, settings=own, realm=replace(service.realm, passwords=QUICK))


async def signed_in(service: Service, told: demo_accounts.Told) -> list[str]:
    """Sign in with everything that was told."""
    proofs = [await people.sign_in(service.realm, HERE, one.login, one.password) for one in told.people]
    return [proof.user.kind for proof in proofs]


async def backend_status(realm: Realm, client_id: str, private: bytes) -> int:
    """Ask for a token as the backend service does."""
    key = ECKey.import_key(json.decode(private))
    now = int(realm.clock().timestamp())
    url = realm.policy.url("token")
    claims = {"iss": client_id, "sub": client_id, "aud": url, "exp": now + 60, "jti": f"{now} {key.kid}"}
    header = {"alg": "ES384", "kid": str(key.kid), "typ": "JWT"}
    form = {
        "grant_type": "client_credentials",
        "scope": "system/Patient.rs",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt.encode(header, claims, key, registry=JWSRegistry(algorithms=["ES384"])),
    }
    return (await token_endpoint.respond(realm, replace(HERE, parameters=tuple(form.items())))).status


async def test_everybody_signs_in_and_the_service_gets_a_token(service: Service) -> None:
    told = await demo_accounts.made(service)
    assert await signed_in(service, told) == [account.kind for account in ACCOUNTS]
    assert [one.id for one, _ in told.services] == ["sample-backend", "sample-laboratory", "sample-advisor"]
    for one, file in told.services:
        assert await backend_status(service.realm, one.id, file.read_bytes()) == 200
        assert file.stat().st_mode & 0o777 == 0o600
    clara = await accounts.find(service.realm, "clara")
    assert [link.patient for link in clara.links] == ["p0003", "p0001", "p0002"]
    nora = await accounts.find(service.realm, "nora")
    assert [link.reference for link in nora.links] == [
        "Practitioner/dr24",
        "PractitionerRole/role24-1",
        "PractitionerRole/role24-2",
    ]
    hedy = await accounts.find(service.realm, "hedy")
    assert [link.reference for link in hedy.links] == [
        "Practitioner/hc01",
        "PractitionerRole/role-hc01",
        "PractitionerRole/role-hc01-2",
    ]


async def test_another_run_makes_nothing_anew(service: Service) -> None:
    assert await demo_accounts.made(service) == await demo_accounts.made(service)
    await accounts.set_password(service.realm, "rose", "four quiet owls dancing")
    told = {one.login: one.password for one in (await demo_accounts.made(service)).people}
    assert told["rose"] == demo_accounts.CHANGED
    rose = await accounts.find(service.realm, "rose")
    assert await service.realm.store.swap(rose, replace(rose, password=""))


async def test_a_key_that_is_missing_is_replaced(service: Service) -> None:
    told = await demo_accounts.made(service)
    (sample, file), *_ = told.services
    old = file.read_bytes()
    file.unlink()
    await demo_accounts.made(service)
    assert file.read_bytes() != old
    assert await backend_status(service.realm, sample.id, file.read_bytes()) == 200


@pytest.mark.parametrize("second_factor", [True, False])
async def test_the_operator_is_told_whether_staff_need_a_second_factor(service: Service, second_factor: bool) -> None:
    realm = replace(service.realm, policy=replace(service.realm.policy, staff_second_factor=second_factor))
    assert (await demo_accounts.made(replace(service, realm=realm))).second_factor is second_factor
