"""Rows of the trail as the server writes them, one for each kind of thing that happens."""

from datetime import UTC, datetime
from typing import Any

from fhir_server.audit.render import Observer

Row = dict[str, Any]

OBSERVER = Observer("https://fhir.example.org/fhir", "https://fhir.example.org/auth", "Example Hospital")
AT = datetime(2026, 3, 4, 10, 20, 30, 456000, tzinfo=UTC)
ID = "019cb800-0000-7000-8000-000000000001"


def row(kind: str, **more: Any) -> Row:
    """Return the row of an interaction of a doctor with the record of Ann."""
    found = {
        "_id": ID,
        "t": AT,
        "k": kind,
        "a": "E",
        "oc": "0",
        "st": 200,
        "au": "staff",
        "c": "app",
        "u": "u-doc",
        "g": "grant-1",
        "w": "PractitionerRole/ward",
        "f": "north",
        "pu": "TREAT",
        "p": "ann",
        "rt": "Observation",
        "m": "GET",
        "ip": "10.1.2.3",
        "rq": "request-1",
        **more,
    }
    return {name: value for name, value in found.items() if value is not None}


HEART = ["Observation/heart/_history/2"]

ROWS: dict[str, Row] = {
    "read": row("read", a="R", e=HEART),
    "vread": row("vread", a="R", e=HEART),
    "create": row("create", a="C", e=HEART, m="POST", st=201),
    "update": row("update", a="U", e=HEART, m="PUT"),
    "patch": row("patch", a="U", e=HEART, m="PATCH"),
    "delete": row("delete", a="D", e=HEART, m="DELETE", st=204),
    "search": row("search-type", q="code=http://loinc.org|8867-4&patient=ann"),
    "search of several": row("search-type", p=None, ps=["ann", "bo"], q="code=x"),
    "search without a patient": row("search-type", p=None, rt="Organization"),
    "search of the system": row("search-system", p=None, rt=None, q="_type=Patient"),
    "search of a compartment": row("search-compartment", q="date=2026"),
    "read without a patient": row("read", a="R", p=None, rt="Organization", e=["Organization/north/_history/1"]),
    "read by an app alone": row("read", a="R", e=HEART, u=None, w=None, au="system"),
    "read of the own record": row(
        "read", a="R", e=HEART, au="patient", u="u-ann", w="Patient/ann", f=None, pu="PATRQT"
    ),
    "read of several": row("read", a="R", e=[*HEART, "Patient/ann/_history/1"], tx="tx-1", pol="hash"),
    "break-glass": row("read", a="R", e=HEART, pu="BTG"),
    "token": row("token-issued", p=None, e=None, rt=None, m=None, st=None, x={"scope": "patient/*.rs"}),
    "consent": row("consent-decision", e=None, rt=None, m=None, st=None, oc="4", x={"consent": "Consent/c1"}, rq=None),
    "disclosure": row("disclosure", a="R", e=HEART, pu="PUBHLTH"),
}
"""Successes and decisions, each of which claims a profile."""

OTHERS: dict[str, Row] = {
    "forbidden": row("read", a="R", oc="4", st=403, e=["Observation/heart"], p=None),
    "not found": row("read", a="R", oc="4", st=404, e=["Observation/heart"], p=None),
    "fault": row("update", a="U", oc="8", st=500, e=["Observation/heart"], p=None),
    "sign-in": row("sign-in", p=None, rt=None, m=None, st=None, g=None),
    "sign-in-failed": row(
        "sign-in-failed", p=None, rt=None, m=None, st=None, oc="4", u=None, w=None, x={"why": "password"}
    ),
    "refresh-reused": row("refresh-reused", p=None, rt=None, m=None, st=None, oc="8", rq=None, x={"family": "f1"}),
    "everything": row("$everything", rt="Patient"),
    "history": row("history-instance", a="R", e=HEART),
    "transaction": row("transaction", p=None, rt=None, m="POST", tx="tx-1"),
    "unknown": row("unknown", p=None, rt=None, c=None, u=None, w=None, f=None, pu=None, st=404, oc="4", ip=None),
}
"""What claims none."""
