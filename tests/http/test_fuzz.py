"""Whatever a client sends, the answer is one of FHIR's and never a 500.

The runs are the same every time. To look for more, give more examples, which are then chosen at random:
`FUZZ=5000 python -m pytest tests/http/test_fuzz.py`.
"""

import os
import random
import re
import tarfile
import time
from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.core.result import Ok

from fhir_server.model import json
from profiles.definitions.registry import Definitions, load
from profiles.xml.reader import Reader
from tests.http.conftest import Served

EXAMPLES = int(os.environ.get("FUZZ", "400"))
SLOWEST_SECONDS = 15.0
FUZZ = settings(
    max_examples=EXAMPLES,
    derandomize="FUZZ" not in os.environ,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
JSON = {"Content-Type": "application/fhir+json"}
EXAMPLE_ARCHIVE = Path("examples") / "hl7.fhir.r4.examples-4.0.1.instances.tgz"

_REFERENCE = re.compile(rb'("reference"\s*:\s*")(?=[A-Z][A-Za-z]+/)')


@pytest.fixture(scope="module")
def http(served: Served) -> Iterator[httpx.Client]:
    """A client of a whole server that holds a few resources."""
    with httpx.Client(base_url=served.url, timeout=60) as client:
        for resource in SEEDS:
            path = f"/fhir/{resource['resourceType']}/{resource['id']}"
            client.put(path, content=json.encode(resource), headers=JSON).raise_for_status()
        yield client


class Examples:
    """Resources to damage, too many to be printed with a failure."""

    def __init__(self, resources: list[dict[str, Any]]) -> None:
        self.resources = resources


@pytest.fixture(scope="module")
def examples(test_data: Path) -> Examples:
    """Small official examples, some of every type."""
    found: dict[str, list[dict[str, Any]]] = {}
    with tarfile.open(test_data / EXAMPLE_ARCHIVE) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".json") and member.size < 12_000 else None
            # References that lead nowhere would refuse nearly all of them.
            text = _REFERENCE.sub(rb"\1http://example.org/fhir/", file.read()) if file else b"{}"
            resource = json.decode(text)
            if "resourceType" in resource and "id" in resource:
                found.setdefault(resource["resourceType"], []).append(resource)
    return Examples([resource for resource_type in sorted(found) for resource in found[resource_type][:3]])


SEEDS: tuple[dict[str, Any], ...] = (
    {"resourceType": "Patient", "id": "p1", "name": [{"family": "Öz", "given": ["A"]}], "birthDate": "1970-02"},
    {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}], "text": "height"},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2020-01-01T10:00:00Z",
        "valueQuantity": {"value": 180, "unit": "cm", "system": "http://unitsofmeasure.org", "code": "cm"},
    },
)

TYPES = ("Patient", "Observation", "Encounter", "Organization", "Bundle", "Binary", "Parameters", "ValueSet", "Basic")
SEGMENTS = (
    *TYPES,
    "p1",
    "o1",
    "root",
    "1",
    "_history",
    "_search",
    "metadata",
    "$everything",
    "*",
    "patient",
    "Domain",
    "..",
)
ODD = (
    "",
    " ",
    "\x00",
    "\u2028",
    "😀",
    "ﬀ",
    "'",
    '"',
    "\\",
    "$",
    "{",
    "|",
    ",",
    "%",
    "a" * 300,
    "-0",
    "NaN",
    "1e400",
    "9" * 40,
)
VALUES = (
    "p1", "Patient/p1", "Patient/p1/_history/1", "http://x.example/Patient/p1", "#a", "urn:uuid:1", "2020", "ge2020-02",
    "2020-02-30", "ap2020-01-01T10:00:00+25:00", "0001", "9999-12-31T23:59:59.999999999Z", "sa0000", "true", "5.4|http://unitsofmeasure.org|mg",
    "ap0", "lt-1e-9", "1e308", "|", "a|b", "|b", "a|", "a\\,b,c", "\\", "a$b", "http://loinc.org|8302-2", "1,2,3", "42|-71|5|km", "42.1|-71.2", "91|0|1|kg", "a|b|c",
    "http://hl7.org/fhir/ValueSet/administrative-gender", "http://hl7.org/fhir/ValueSet/condition-code", "urn:x",
    "http://terminology.hl7.org/CodeSystem/v3-ActCode|IMP", '(bone OR "left knee") not x*', "not", ") or (",
)  # fmt: skip
RESULT_VALUES = (
    "-date", "_id", "-_lastUpdated", "a,b", "0", "-1", "5", "99999999999999999999", "accurate", "none", "estimate", "true",
    "false", "text", "data", "count", "Observation:subject", "Patient:*", "*", "Observation:subject:Patient", "::", "json", "xml", "name eq a and (birthdate ge 2020 or not (_id eq p1))",
    'subject:Patient[gender eq male].name co "x"', "code in http://hl7.org/fhir/ValueSet/observation-codes", "_id ne p1", "a eq", "(", "not (_id pr true",
)  # fmt: skip
RESULTS = (
    "_sort", "_count", "_total", "_summary", "_elements", "_include", "_revinclude", "_include:iterate", "_format", "_pretty",
    "_contained", "_cursor", "_page", "_since", "_at", "_until", "_id", "_lastUpdated", "_tag", "_profile", "_security", "_has:Observation:patient:code",
    "_text", "_content", "_filter", "_list", "_query", "_type", "mode",
)  # fmt: skip
MODIFIERS = (
    "",
    "",
    "",
    ":missing",
    ":exact",
    ":contains",
    ":not",
    ":in",
    ":not-in",
    ":above",
    ":of-type",
    ":text",
    ":Patient",
    ":identifier",
    ":below",
    ":x",
    ":",
)
HEADERS: dict[str, tuple[str, ...]] = {
    "Accept": ("application/fhir+json", "*/*", "application/fhir+xml", "text/html;q=x", ",;", "a/b;c"),
    "Prefer": ("return=minimal", "return=OperationOutcome", "return=x", "handling=lenient", "respond-async", ";=,"),
    "If-Match": ('W/"1"', '"x"', "*", 'W/"99999999999999"', "W/1"),
    "If-None-Match": ('W/"1"', "*", "x"),
    "If-Modified-Since": ("Sat, 21 Nov 2026 00:00:00 GMT", "yesterday", "Sat, 99 Nov 99999 00:00:00 GMT"),
    "If-None-Exist": ("identifier=a|b", "_id=p1", "", "name=a&_count=1", "x=1", "%", "name:missing=true"),
    "Content-Type": (
        "application/fhir+json",
        "application/json-patch+json",
        "application/x-www-form-urlencoded",
        "x",
        "application/fhir+xml",
    ),
    "Content-Encoding": ("gzip", "identity"),
    "X-Request-Id": ("1", "{}"),
}

XML = (
    b'<Patient xmlns="http://hl7.org/fhir"/>',
    b'<Patient xmlns="http://hl7.org/fhir"><active value="x"/></Patient>',
    b'<Bundle xmlns="http://hl7.org/fhir"><type value="batch"/><entry/></Bundle>',
    b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    b"<a>",
)
texts = st.one_of(st.sampled_from(ODD), st.sampled_from(VALUES), st.text(max_size=20))
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(10**40), 10**40), st.floats(allow_nan=False), texts,
    st.sampled_from(VALUES),
)  # fmt: skip
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
headers = st.dictionaries(st.sampled_from(sorted(HEADERS)), st.integers(0, 9), max_size=3).map(
    lambda chosen: {name: HEADERS[name][at % len(HEADERS[name])] for name, at in chosen.items()}
)


def check(response: httpx.Response, started: float) -> None:
    """Check that an answer is one of FHIR's, in time."""
    said = f"{response.request.method} {response.request.url} {response.request.content[:2000]!r} -> {response.text[:2000]}"
    assert response.status_code < 500, said
    assert time.monotonic() - started < SLOWEST_SECONDS, said
    assert response.headers["x-request-id"], said
    if response.status_code >= 400 and response.request.method != "HEAD":
        outcome = resource_in(response)
        assert outcome["resourceType"] == "OperationOutcome", said
        for issue in outcome["issue"]:
            assert issue["details"]["text"].strip(), said
            assert "Traceback" not in issue["details"]["text"], said


def resource_in(response: httpx.Response) -> Any:
    """Return the resource in an answer, in whichever form it came."""
    if response.headers["content-type"].startswith("application/fhir+xml"):
        return Reader(definitions()).read(response.content)
    return json.decode(response.content)


def send(client: httpx.Client, method: str, path: str, **content: Any) -> httpx.Response:
    """Send a request and check the answer."""
    started = time.monotonic()
    response = client.request(method, f"/fhir{path}", **content)
    check(response, started)
    return response


@cache
def definitions() -> Definitions:
    """Return the FHIR definitions."""
    return load()


@FUZZ
@given(
    method=st.sampled_from(("GET", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")),
    path=st.lists(st.sampled_from(SEGMENTS) | texts, max_size=5),
    query=st.lists(st.tuples(st.sampled_from(RESULTS) | texts, st.sampled_from(RESULT_VALUES) | texts), max_size=3),
    sent=headers,
    body=st.one_of(st.just(b""), st.binary(max_size=40), values.map(json.encode), st.sampled_from(XML)),
)
def test_any_request(http: httpx.Client, method: str, path: list[str], query: Any, sent: Any, body: bytes) -> None:
    target = "/".join(["", *(quote(segment, safe="").replace(".", "%2E") for segment in path)])
    pairs = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
    if path[:2] == ["Organization", "root"]:
        method = "GET"
    send(http, method, f"{target}?{pairs}" if pairs else target, headers=sent, content=body)


@FUZZ
@given(data=st.data())
def test_any_search(http: httpx.Client, data: st.DataObject) -> None:
    resource_type = data.draw(st.sampled_from(sorted(definitions().resource_types)) | st.sampled_from(TYPES))
    names = sorted(definitions().search_parameters(resource_type))
    pairs = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(names).flatmap(lambda name: st.sampled_from(MODIFIERS).map(lambda end: name + end)),
                st.sampled_from(VALUES) | texts,
            ),
            max_size=3,
        )
    )
    pairs += data.draw(
        st.lists(st.tuples(st.sampled_from(RESULTS), st.sampled_from(RESULT_VALUES) | texts), max_size=2)
    )
    sort = data.draw(st.none() | st.sampled_from(names))
    if sort:
        pairs.append(("_sort", sort))
    lenient = data.draw(st.booleans())
    sent = {"Prefer": "handling=lenient"} if lenient else {}
    if data.draw(st.booleans()):
        response = send(http, "GET", f"/{resource_type}", params=pairs, headers=sent)
    else:
        form = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
        sent["Content-Type"] = "application/x-www-form-urlencoded"
        response = send(http, "POST", f"/{resource_type}/_search", content=form.encode(), headers=sent)
    if response.status_code == 200:
        for link in resource_in(response).get("link", []):
            send(http, "GET", link["url"].partition("/fhir")[2])


@FUZZ
@given(seed=st.integers(0, 2**32), junk=st.lists(values, min_size=1, max_size=2), way=st.integers(0, 5))
def test_any_damage_to_a_resource(http: httpx.Client, examples: Examples, seed: int, junk: list[Any], way: int) -> None:
    chance = random.Random(seed)
    resource = json.decode(json.encode(chance.choice(examples.resources)))
    for value in junk:
        damage(resource, value, chance)
    resource_type = resource.get("resourceType") if chance.random() < 0.1 else None
    if not isinstance(resource_type, str) or not resource_type.isalpha():
        resource_type = chance.choice(TYPES)
    body = json.encode(resource)
    resource_id = resource.get("id") if isinstance(resource.get("id"), str) else "x1"
    match way:
        case 0 | 1:
            send(http, "POST", f"/{quote(str(resource.get('resourceType')), safe='')}", content=body, headers=JSON)
        case 2:
            target = f"/{quote(str(resource.get('resourceType')), safe='')}/{quote(str(resource_id), safe='')}"
            if target != "/Organization/root":
                send(http, "PUT", target, content=body, headers=JSON)
        case 3:
            send(http, "PUT", f"/{resource_type}/x2", content=body, headers=JSON)
        case 4:
            send(http, "POST", "", content=json.encode(_bundle(resource, chance)), headers=JSON)
        case _:
            bundle = _bundle(resource, chance)
            damage(bundle, junk[0], chance)
            send(http, "POST", "", content=json.encode(bundle), headers=JSON)


SOUND: tuple[dict[str, Any], ...] = (
    {"op": "add", "path": "/name/-", "value": {"family": "B"}},
    {"op": "replace", "path": "/birthDate", "value": "1980-01-01"},
    {"op": "test", "path": "/name/0/family", "value": "Öz"},
    {"op": "copy", "from": "/name/0", "path": "/name/0"},
    {"op": "move", "from": "/name/0/family", "path": "/name/0/text"},
    {"op": "remove", "path": "/name"},
    {"op": "add", "path": "/contact", "value": [{"name": {"family": "C"}}]},
)


@FUZZ
@given(
    operations=st.lists(st.sampled_from(SOUND), min_size=1, max_size=3)
    | st.lists(
        st.fixed_dictionaries(
            {"op": st.sampled_from(("add", "remove", "replace", "move", "copy", "test", "x"))},
            optional={
                "path": st.sampled_from(
                    ("/name", "/name/0/family", "/name/-", "/x~1y", "", "/", "name", "/name/9", "/id", "/meta", "/~2")
                )
                | texts,
                "from": st.sampled_from(("/name/0", "/birthDate", "/name", "", "x")),
                "value": values,
            },
        )
        | st.sampled_from(SOUND)
        | values,
        max_size=3,
    )
    | values
)
def test_any_patch(http: httpx.Client, operations: Any) -> None:
    sent = {"Content-Type": "application/json-patch+json"}
    response = send(http, "PATCH", "/Patient/p1", content=json.encode(operations), headers=sent)
    if response.status_code == 200 and send(http, "GET", "/Patient/p1").json() != SEEDS[0]:
        send(http, "PUT", "/Patient/p1", content=json.encode(SEEDS[0]), headers=JSON)


@settings(FUZZ, max_examples=max(10, EXAMPLES // 4))
@given(
    operations=st.lists(
        st.tuples(
            st.sampled_from(("add", "replace", "remove", "x")),
            st.sampled_from(("f:Patient/f:name", "f:Patient", "f:Patient/f:birthDate/@value", "*/*[2]", "f:Patient/f:id", "//", ""))
            | st.text(alphabet="f:/@[]='().*a1", max_size=12),
            st.sampled_from(("", ' pos="before"', ' pos="prepend"', ' type="@id"', ' type="@value"', ' pos="x"')),
            st.sampled_from(("", "a", '<f:family value="B"/>', "<f:name/>", "<f:a><b/></f:a>", "<", "<!-- c -->", "&a;")),
        ),
        max_size=3,
    )
)  # fmt: skip
def test_any_xml_patch(http: httpx.Client, operations: list[tuple[str, str, str, str]]) -> None:
    rows = "".join([f'<{op} sel="{escape(sel)}"{more}>{content}</{op}>' for op, sel, more, content in operations])
    sent = {"Content-Type": "application/xml-patch+xml"}
    body = f'<diff xmlns:f="http://hl7.org/fhir">{rows}</diff>'.encode()
    response = send(http, "PATCH", "/Patient/p1", content=body, headers=sent)
    if response.status_code == 200 and send(http, "GET", "/Patient/p1").json() != SEEDS[0]:
        send(http, "PUT", "/Patient/p1", content=json.encode(SEEDS[0]), headers=JSON)


def damage(root: Any, value: Any, chance: random.Random) -> None:
    """Replace, remove, wrap, repeat or rename something in a JSON value."""
    value = json.decode(json.encode(value))
    node = root
    while True:
        keys: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = chance.choice(keys)
        below = node[key]
        if isinstance(below, dict | list) and below and chance.random() < 0.75:
            node = below
            continue
        match chance.randrange(6):
            case 0:
                del node[key]
            case 1:
                node[key] = [below, below]
            case 2:
                node[key] = {"extension": [{"url": "http://x.example", "valueString": "x"}]}
            case 3 if isinstance(node, dict):
                node[f"_{key}"] = value
            case 4 if isinstance(node, dict):
                node[str(key) + chance.choice(("x", "[x]", ".", "$"))] = below
            case _:
                node[key] = value
        return


def _bundle(resource: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    kind = str(resource.get("resourceType"))
    requests = (
        {"method": "POST", "url": kind},
        {"method": "POST", "url": kind, "ifNoneExist": "identifier=http://x.example|1"},
        {"method": "PUT", "url": f"{kind}/x3"},
        {"method": "PUT", "url": f"{kind}?identifier=http://x.example|2"},
        {"method": "PUT", "url": f"{kind}/x3", "ifMatch": 'W/"1"'},
        {"method": "DELETE", "url": f"{kind}/x4"},
        {"method": "GET", "url": f"{kind}?_count=1"},
        {"method": "GET", "url": f"/{kind}/x3/_history/1"},
    )
    entries = []
    for at in range(chance.randrange(4)):
        request = chance.choice(requests)
        entry: dict[str, Any] = {"request": request}
        if request["method"] in {"POST", "PUT"}:
            entry["resource"] = {name: value for name, value in resource.items() if name != "id"}
            if "x3" in request["url"]:
                entry["resource"]["id"] = "x3"
        entry["fullUrl"] = chance.choice(
            (f"urn:uuid:0000000{at}-0000-4000-8000-000000000000", "http://x.example/a", "x")
        )
        entries.append(entry)
    return {"resourceType": "Bundle", "type": chance.choice(("transaction", "batch")), "entry": entries}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["meant", "broken"])
def test_keeps_what_its_openapi_document_promises(http: httpx.Client, served: Served, mode: GenerationMode) -> None:
    interface = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    # The document does not tell the rules of each type, so what fits it may be refused; and preferences that are not known
    # are ignored (RFC 7240 2), so what does not fit it may be accepted.
    excluded: list[Any] = [CHECKS.get_one(name) for name in ("positive_data_acceptance", "negative_data_rejection")]
    for found in interface.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()

        @settings(FUZZ, max_examples=max(10, EXAMPLES // 40))
        @given(case=operation.as_strategy(generation_mode=mode))
        def keeps(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(excluded_checks=excluded, timeout=SLOWEST_SECONDS)

        keeps()
