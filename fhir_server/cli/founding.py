"""A facility and its people into the record: what is there stays as it is, what is missing is made."""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from fhir_server.cli.answers import Answers, PersonAnswers, slug
from fhir_server.cli.linking import looked_up
from fhir_server.cli.posting import BASE, Poster, reason
from fhir_server.cli.posts import POSTS
from fhir_server.facilities.establishment import LEVELS, Establishment
from fhir_server.model import json
from fhir_server.model.request import FhirRequest
from smart_auth import accounts
from smart_auth.administration import Unacceptable
from smart_auth.records import User

if TYPE_CHECKING:
    from fhir_server.main import Service

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Founded:
    """Somebody who can sign in.

    Attributes:
        user: The account.
        added: Whether it was made just now.
        link: Page where the person chooses a password; empty where there is one.
    """

    user: User
    added: bool
    link: str

    def as_json(self) -> dict[str, Any]:
        """Return it for scripts."""
        who = {"login": self.user.login, "name": self.user.name, "kind": self.user.kind}
        roles = [link.reference for link in self.user.links]
        return {**who, "links": roles, "added": self.added, **({"link": self.link} if self.link else {})}


async def facility(service: "Service", establishment: Establishment) -> list[str]:
    """Store the Organization and the site of a facility, and return the names of what was missing.

    Raises:
        Unacceptable: There is another kind of Organization with this id, or the record refuses it.
    """
    found = await service.dispatch(FhirRequest("GET", ("Organization", establishment.id), BASE))
    if found.status == 200:
        levels = {
            coding.get("code")
            for concept in json.parse(found.body or b"{}").get("type", [])
            for coding in concept.get("coding", [])
            if coding.get("system") == LEVELS
        }
        if levels != {"facility"}:
            raise Unacceptable(
                f"Organization/{establishment.id} is there already and is no facility. Choose another facility.id."
            )
    return await stored(service, establishment.id, list(establishment.resources()))


async def people(service: "Service", answers: Answers) -> list[Founded]:
    """Store who works at the facility, let them sign in, and return them all.

    Raises:
        Unacceptable: A login is taken by somebody else, or the record refuses a person.
    """
    establishment = answers.facility.establishment()
    found = []
    for person in answers.users:
        await stored(service, establishment.id, [_practitioner(person), *_roles(person, establishment)])
        found.append(await _account(service, person))
    return found


async def stored(service: "Service", facility_id: str, resources: list[Resource]) -> list[str]:
    """Store what is missing of some resources, in the custody of a facility, and return the names of what was.

    Raises:
        Unacceptable: The record refuses them.
    """
    poster = Poster(service, facility_id)
    missing = {}
    for resource in resources:
        name = f"{resource['resourceType']}/{resource['id']}"
        if not await poster.exists(name):
            missing[name] = resource
    if missing:
        entries = [{"resource": one, "request": {"method": "PUT", "url": name}} for name, one in missing.items()]
        answer = await poster.post({"resourceType": "Bundle", "type": "transaction", "entry": entries})
        if answer.status != 200:
            raise Unacceptable(f"{', '.join(missing)} cannot be stored: {reason(answer.resource)}")
    return list(missing)


async def _account(service: "Service", person: PersonAnswers) -> Founded:
    realm = service.realm
    who = await looked_up(service.repository, [f"Practitioner/{_id(person)}"])
    there = await realm.store.find(User, login=person.login)
    if there:
        if there[0].kind != person.kind:
            raise Unacceptable(
                f"The login '{person.login}' is that of a person of kind {there[0].kind}; use another one for the roles "
                f"{', '.join(person.roles)}."
            )
        user = await accounts.link(realm, person.login, who.links)
    else:
        wanted = accounts.NewUser(person.login, who.name, person.kind, who.links, person.letters)
        user = await accounts.add(realm, wanted)
    link = "" if user.password or user.disabled else await accounts.help_in(realm, user.login, "link")
    return Founded(user, not there, link)


def _practitioner(person: PersonAnswers) -> Resource:
    name: Resource = {"use": "official", "family": person.family, "given": [person.given]}
    if person.prefix:
        name["prefix"] = [person.prefix]
    letters = [{"system": "email", "value": person.letters, "use": "work"}] if person.letters else []
    return {
        "resourceType": "Practitioner",
        "id": _id(person),
        "active": True,
        "name": [name],
        **({"telecom": letters} if letters else {}),
    }


def _roles(person: PersonAnswers, establishment: Establishment) -> list[Resource]:
    return [
        {
            "resourceType": "PractitionerRole",
            "id": f"{_id(person)}-{code}",
            "active": True,
            "practitioner": {"reference": f"Practitioner/{_id(person)}"},
            "organization": {"reference": f"Organization/{establishment.id}"},
            "code": [POSTS[code]],
            "location": [{"reference": f"Location/{establishment.site}"}],
        }
        for code in person.roles
    ]


def _id(person: PersonAnswers) -> str:
    """Return the id of a person's Practitioner: the login, told apart from others that look alike in an id."""
    plain = slug(person.login)[:32].strip("-")
    same = re.fullmatch(r"[a-z0-9-]+", person.login) and plain == person.login
    return plain if same else f"{plain or 'person'}-{sha256(person.login.encode()).hexdigest()[:8]}"
