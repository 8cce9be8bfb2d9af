"""A row of the trail as an AuditEvent (R4; IHE BALP 1.1.4; smart.md 6).

A success claims the BALP profile that it conforms to, with its Patient variant where exactly one patient is concerned; a
refusal for want of a right is a Security Alert. Nothing is looked up here: displays come with the call, from whoever reads,
as far as that reader may know them, so that a name never gets into the trail.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from fhir_server.audit.codes import (
    BALP,
    BALP_ENTITY,
    ENTITY_ROLE,
    ENTITY_TYPE,
    GRANT_URN,
    ORGANIZATION,
    OWN_DETAIL,
    POLICY_URN,
    PURPOSE,
    RESOURCE_TYPE,
    SOURCE_TYPE,
    Json,
    Row,
    Shape,
    coding,
    concept,
    is_denied,
    shape,
    subtypes_of,
    type_of,
)
from fhir_server.model import instant, json
from fhir_server.model.stored import Stored

TYPE = "AuditEvent"
PERSON, OBJECT = (ENTITY_TYPE, "1"), (ENTITY_TYPE, "2")
PATIENT, RESOURCE, QUERY, SECURITY = ((ENTITY_ROLE, code) for code in ("1", "4", "24", "13"))
SUCCESS = "0"
OUTCOMES: Mapping[str, str] = {"4": "Refused", "8": "Failed", "12": "The service failed"}
NO_NAMES: Mapping[str, str] = {}


class Observer(msgspec.Struct, frozen=True):
    """The server that the trail is of.

    Attributes:
        base: Its FHIR base, which is how it is known.
        issuer: Who gives the ids of people.
        name: What it is called.
    """

    base: str
    issuer: str
    name: str = ""

    @property
    def who(self) -> Json:
        """The reference to it."""
        named = {"display": self.name} if self.name else {}
        return {"identifier": {"system": "urn:ietf:rfc:3986", "value": self.base}, **named}

    @property
    def host(self) -> str:
        """The host of its base."""
        return urlsplit(self.base).hostname or self.base


def stored(row: Row, observer: Observer, names: Mapping[str, str] = NO_NAMES) -> Stored:
    """Return a row as the one version of an AuditEvent."""
    return Stored(TYPE, row["_id"], 1, _time(row), json.encode(event(row, observer, names)), "POST")


def event(row: Row, observer: Observer, names: Mapping[str, str] = NO_NAMES) -> Json:
    """Return the AuditEvent of a row.

    Args:
        row: The row.
        observer: This server.
        names: Displays by user id and by reference (`Patient/x`), as far as the reader may know them.
    """
    found, when = shape(row["k"]), instant.text(_time(row))
    entities = [*_entities(row, found, names)]
    outcome = str(row.get("oc", SUCCESS))
    profile = _profile(row, found, outcome)
    rendered: Json = {
        "resourceType": TYPE,
        "id": row["_id"],
        "meta": {"versionId": "1", "lastUpdated": when, **({"profile": [profile]} if profile else {})},
        "type": coding(type_of(row)),
        "subtype": [coding(one) for one in subtypes_of(row["k"])],
        "action": found.action or row.get("a", "E"),
        "recorded": when,
        "outcome": outcome,
    }
    if outcome != SUCCESS:
        status = f" with HTTP status {row['st']}" if row.get("st") else ""
        rendered["outcomeDesc"] = f"{OUTCOMES.get(outcome, 'Failed')}{status}."
    if row.get("pu"):
        rendered["purposeOfEvent"] = [concept((PURPOSE, row["pu"]))]
    rendered["agent"] = [*_agents(row, found, observer, names)]
    rendered["source"] = {
        "site": observer.host,
        "observer": observer.who,
        "type": [coding((SOURCE_TYPE, "4")) | {"display": "Application Server"}],
    }
    return {**rendered, **({"entity": entities} if entities else {})}


def patients(row: Row) -> list[str]:
    """Return the ids of the patients that a row is about."""
    return [*([row["p"]] if row.get("p") else []), *row.get("ps", ())]


def query_line(row: Row) -> str:
    """Return the request line of a query as the trail keeps it: `GET Observation?code=…`."""
    query = f"?{row['q']}" if row.get("q") else ""
    operation = f"/{row['k']}" if row["k"].startswith("$") else ""
    return f"{row.get('m', 'GET')} {row.get('rt', '')}{operation}{query}"


def _time(row: Row) -> datetime:
    moment: datetime = row["t"]
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _profile(row: Row, found: Shape, outcome: str) -> str:
    """Return the profile that the event conforms to, empty for none."""
    several = patients(row)
    name = found.profile
    is_complete = bool(row.get("c") and row.get("ip"))
    if name == "AuthZconsent":
        whole = is_complete and row.get("u") and row.get("f") and len(several) == 1 and _consent(row)
        return f"{BALP}/StructureDefinition/IHE.BasicAudit.{name}" if whole else ""
    if not name or not is_complete or outcome != SUCCESS or is_denied(row):
        return ""
    if name == "IHE.IUA.71":
        return f"{BALP}/StructureDefinition/{name}"
    if name != "Query" and not row.get("e"):
        return ""
    if name.startswith("PrivacyDisclosure"):
        return f"{BALP}/StructureDefinition/IHE.BasicAudit.{name}" if len(several) == 1 else ""
    return f"{BALP}/StructureDefinition/IHE.BasicAudit.{'Patient' if len(several) == 1 else ''}{name}"


def _agents(row: Row, found: Shape, observer: Observer, names: Mapping[str, str]) -> Iterator[Json]:
    someone = row.get("u") or row.get("who")
    client: Json = {"type": concept(found.client), "who": _client(row, names), "requestor": not someone}
    if row.get("ip"):
        client["network"] = {"address": row["ip"], "type": "2"}
    policies = [f"{urn}{row[name]}" for name, urn in (("g", GRANT_URN), ("pol", POLICY_URN)) if row.get(name)]
    if someone:
        yield client
    else:
        yield {**client, **({"policy": policies} if policies and not _is_bare(found) else {}), **_purpose(row, found)}
    server: Json = {"type": concept(found.server), "who": observer.who, "requestor": False}
    if found.profile != "AuthZconsent":
        server["network"] = {"address": observer.host, "type": "1"}
    yield server
    if someone:
        yield {
            "type": concept(found.user),
            "who": _person(row, observer, names),
            "requestor": True,
            **({"policy": policies} if policies else {}),
            **_purpose(row, found),
        }
    if row.get("f") and found.profile != "IHE.IUA.71":
        yield {"type": concept(ORGANIZATION), "who": _named(f"Organization/{row['f']}", names), "requestor": False}


def _person(row: Row, observer: Observer, names: Mapping[str, str]) -> Json:
    """Return who did it: the role that the person works in, and the person; or what may be said of them."""
    if row.get("who"):
        return {"display": row["who"]}
    display = names.get(row["u"]) or names.get(row.get("w", ""))
    return {
        **({"reference": row["w"]} if row.get("w") else {}),
        "identifier": {"system": observer.issuer, "value": row["u"]},
        **({"display": display} if display else {}),
    }


def _is_bare(found: Shape) -> bool:
    """Return whether a profile wants nothing of the client but who it is and where."""
    return found.profile == "AuthZconsent"


def _purpose(row: Row, found: Shape) -> Json:
    return {"purposeOfUse": [concept((PURPOSE, row["pu"]))]} if row.get("pu") else {}


def _client(row: Row, names: Mapping[str, str]) -> Json:
    if not row.get("c"):
        return {"display": "a client that did not say who it is"}
    display = names.get(row["c"])
    return {"identifier": {"value": row["c"]}, **({"display": display} if display else {})}


def _entities(row: Row, found: Shape, names: Mapping[str, str]) -> Iterator[Json]:
    if found.profile == "IHE.IUA.71":
        yield _token_request(row)
        return
    for number, reference in enumerate(row.get("e", ())):
        resource_type = reference.partition("/")[0]
        # The profiles have room for one object of the plain type.
        kind = OBJECT if number == 0 else (RESOURCE_TYPE, resource_type)
        yield {"what": {"reference": reference}, "type": coding(kind), "role": coding(RESOURCE)}
    for patient in patients(row):
        yield {"what": _named(f"Patient/{patient}", names), "type": coding(PERSON), "role": coding(PATIENT)}
    if found.profile == "Query" or row.get("q"):
        line = query_line(row)
        yield {
            "type": coding(OBJECT if found.profile == "Query" or not row.get("e") else (RESOURCE_TYPE, "Parameters")),
            "role": coding(QUERY),
            "description": line,
            "query": b64encode(line.encode()).decode(),
        }
    if consent := _consent(row):
        yield {"what": {"reference": consent}, "type": coding((RESOURCE_TYPE, "Consent"))}
    if found.profile != "AuthZconsent":
        yield from _transaction(row)


def _transaction(row: Row) -> Iterator[Json]:
    """Yield the request that the event belongs to, with what else is known of it."""
    more = {name: value for name, value in row.get("x", {}).items() if name != "consent"}
    details = _details({**({"transaction": row["tx"]} if row.get("tx") else {}), **more})
    if row.get("rq"):
        identifier = {"identifier": {"value": row["rq"]}}
        yield {"what": identifier, "type": coding((BALP_ENTITY, "XrequestId")), **details}
    elif details:
        yield {"type": coding((OWN_DETAIL, "detail")), "name": "More about the event", **details}


def _token_request(row: Row) -> Json:
    asked = {"client_id": row.get("c", ""), **row.get("x", {})}
    line = "&".join(f"{name}={quote(str(value), safe='/*.:')}" for name, value in asked.items() if value)
    return {
        "type": coding(OBJECT),
        "role": coding(QUERY),
        "query": b64encode(line.encode()).decode(),
        **_details({"X-Request-Id": row["rq"]} if row.get("rq") else {}),
    }


def _details(facts: Mapping[str, Any]) -> Json:
    rows = [{"type": name, "valueString": _text(value)} for name, value in facts.items() if value not in {"", None}]
    return {"detail": rows} if rows else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.encode(value).decode()


def _consent(row: Row) -> str:
    consent = str(row.get("x", {}).get("consent", ""))
    return consent if not consent or "/" in consent else f"Consent/{consent}"


def _named(reference: str, names: Mapping[str, str]) -> Json:
    display = names.get(reference)
    return {"reference": reference, **({"display": display} if display else {})}
