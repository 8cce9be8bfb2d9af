"""Nobody takes a facility into a network, or out of it, by writing the membership: that is for both sides."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from fhir_server.facilities.agreement import Agreement
from fhir_server.facilities.nodes import ROLE
from tests.access.house import ADMINISTRATOR, STAFF, House

Json = dict[str, Any]


def membership(name: str, *, active: bool, agreement: Agreement | None = None, **more: Any) -> Json:
    return {
        "resourceType": "OrganizationAffiliation",
        "id": name,
        "active": active,
        "organization": {"reference": f"Organization/{name}-net"},
        "participatingOrganization": {"reference": f"Organization/{name}-clinic"},
        "code": [{"coding": [{"system": ROLE, "code": "member"}]}],
        **({"extension": [agreement.extension()]} if agreement else {}),
        **more,
    }


def code(answer: httpx.Response) -> str:
    return str(answer.json()["issue"][0]["extension"][0]["valueString"])


@pytest.fixture
async def name(house: House, fresh: Callable[[str], str]) -> str:
    """The id of a membership, whose two sides are there."""
    name = fresh("m")
    for side in ("net", "clinic"):
        one = {"resourceType": "Organization", "id": f"{name}-{side}", "name": side}
        await house.service.repository.update("Organization", one["id"], one)
    return name


@pytest.mark.parametrize("user", [ADMINISTRATOR, STAFF])
async def test_a_membership_is_not_brought_into_force_by_hand(house: House, name: str, user: str) -> None:
    caller = await house.as_("user/*.cruds", user=user)
    refused = await caller.put(membership(name, active=True))
    assert (refused.status_code, code(refused)) == (403, "use-accept")
    assert (await caller.put(membership(name, active=False))).status_code == 201
    without = membership(name, active=False)
    del without["active"]
    for attempt in (membership(name, active=True), without):
        refused = await caller.put(attempt)
        assert (refused.status_code, code(refused)) == (403, "use-accept")
    refused = await caller.ask(
        "PATCH", f"OrganizationAffiliation/{name}", [{"op": "replace", "path": "/active", "value": True}]
    )
    assert (refused.status_code, code(refused)) == (403, "use-accept")
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "resource": membership(name, active=True),
                "request": {"method": "PUT", "url": f"OrganizationAffiliation/{name}"},
            }
        ],
    }
    refused = await caller.ask("POST", "", bundle)
    assert (refused.status_code, code(refused)) == (403, "use-accept")
    assert (await caller.get(f"OrganizationAffiliation/{name}")).json()["active"] is False


async def test_an_agreement_in_force_is_not_opened_by_one_side(house: House, name: str) -> None:
    shut, wide = Agreement("relationship"), Agreement("network", emergency=True)
    await house.service.repository.update(
        "OrganizationAffiliation", name, membership(name, active=True, agreement=shut)
    )
    caller = await house.as_("user/*.cruds", user=ADMINISTRATOR)
    refused = await caller.put(membership(name, active=True, agreement=wide))
    assert (refused.status_code, code(refused)) == (403, "use-accept")
    elsewhere = membership(name, active=True, agreement=shut)
    elsewhere["organization"] = {"reference": "Organization/root"}
    refused = await caller.put(elsewhere)
    assert (refused.status_code, code(refused)) == (403, "use-accept")


async def test_a_membership_is_not_ended_past_what_it_leaves_behind(house: House, name: str) -> None:
    await house.service.repository.update("OrganizationAffiliation", name, membership(name, active=True))
    caller = await house.as_("user/*.cruds", user=ADMINISTRATOR)
    ended = membership(name, active=True, period={"end": "2026-01-01"})
    for attempt in (membership(name, active=False), ended):
        refused = await caller.put(attempt)
        assert (refused.status_code, code(refused)) == (403, "use-leave")
    refused = await caller.ask("DELETE", f"OrganizationAffiliation/{name}")
    assert (refused.status_code, code(refused)) == (403, "use-leave")
    # What is no matter of the agreement can be written.
    assert (
        await caller.put(membership(name, active=True, telecom=[{"system": "phone", "value": "+999 1"}]))
    ).status_code == 200


async def test_a_system_that_may_change_everything_may_do_so(house: House, name: str) -> None:
    caller = await house.as_("system/*.cruds")
    assert (await caller.put(membership(name, active=True))).status_code == 201
    assert (await caller.put(membership(name, active=False))).status_code == 200
    some = await house.as_("system/OrganizationAffiliation.cruds system/Organization.r")
    refused = await some.put(membership(name, active=True))
    assert (refused.status_code, code(refused)) == (403, "use-accept")
