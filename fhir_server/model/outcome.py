"""OperationOutcome resources from findings (R4 OperationOutcome)."""

from collections.abc import Iterable
from typing import Any

from fhir_server.model import json
from fhir_server.model.errors import FhirError
from fhir_server.model.request import FhirResponse
from profiles.issue import Issue

MESSAGE_ID = "http://hl7.org/fhir/StructureDefinition/operationoutcome-message-id"
ISSUE_TYPES = "http://hl7.org/fhir/tools/CodeSystem/tx-issue-type"
MOST = 100


def outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """Return an OperationOutcome of at most 100 issues, the last of them saying how many were left out."""
    all_issues = list(issues)
    rows = [_row(issue) for issue in all_issues[:MOST]]
    if len(all_issues) > MOST:
        more = Issue("information", "informational", f"{len(all_issues) - MOST} more issues are not shown.")
        rows.append(_row(more))
    if not rows:
        rows = [_row(Issue("information", "informational", "All OK"))]
    return {"resourceType": "OperationOutcome", "issue": rows}


def refusal(error: FhirError) -> FhirResponse:
    """Return the answer to a request that failed in an expected way."""
    return FhirResponse(error.status, error.headers, json.encode(outcome(error.issues)), reports=True)


def _row(issue: Issue) -> dict[str, Any]:
    coding = {"coding": [{"system": ISSUE_TYPES, "code": issue.kind}]} if issue.kind else {}
    row: dict[str, Any] = {"severity": issue.severity, "code": issue.code, "details": {**coding, "text": issue.text}}
    if issue.message_id:
        row = {"extension": [{"url": MESSAGE_ID, "valueString": issue.message_id}], **row}
    if issue.diagnostics:
        row["diagnostics"] = issue.diagnostics
    if issue.expression:
        if issue.kind:
            row["location"] = [issue.expression]
        row["expression"] = [issue.expression]
    return row
