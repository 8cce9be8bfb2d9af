"""One finding of a check: the data behind `OperationOutcome.issue` (R4 OperationOutcome)."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["fatal", "error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Issue:
    """What is wrong, where, and what to do about it.

    Attributes:
        severity: One of the four codes of IssueSeverity.
        code: A code of IssueType, such as `structure` or `code-invalid`.
        text: A sentence that says what was found, what is allowed and what to change.
        expression: FHIRPath location such as `Patient.name[0].family`, empty where there is none.
        message_id: Stable key of the message, for programs.
        diagnostics: Technical detail for operators, never another person's data.
        profile: Canonical of the profile that asks for it, empty for the base definitions.
        kind: A code of tx-issue-type, which programs that check codes look for; empty where it is not about terminology.
    """

    severity: Severity
    code: str
    text: str
    expression: str = ""
    message_id: str = ""
    diagnostics: str = ""
    profile: str = ""
    kind: str = ""

    @property
    def fails(self) -> bool:
        """Whether the finding refuses the resource."""
        return self.severity in {"fatal", "error"}
