"""Issues of terminology operations: what is said of a code, in the words and codings that validators look for (tx-issue-type).

Programs that check codes in bulk recognise findings by message id and coding, and show the text to people as it is. Every message
that this service gives stands here once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Json = dict[str, Any]
Severity = Literal["fatal", "error", "warning", "information"]

ISSUE_TYPES = "http://hl7.org/fhir/tools/CodeSystem/tx-issue-type"
MESSAGE_ID = "http://hl7.org/fhir/StructureDefinition/operationoutcome-message-id"


@dataclass(frozen=True, slots=True)
class TxIssue:
    """A finding of a terminology operation (R4 OperationOutcome.issue).

    Attributes:
        severity: A code of IssueSeverity.
        code: A code of IssueType.
        kind: A code of tx-issue-type, empty where there is none for it.
        text: A sentence for people.
        path: Where, such as `Coding.code` or `CodeableConcept.coding[0].display`; empty where it is about the whole.
        message_id: Stable key of the text, empty where it has none.
        diagnostics: What more there is to say to those who look into it, or empty.
    """

    severity: Severity
    code: str
    kind: str
    text: str
    path: str = ""
    message_id: str = ""
    diagnostics: str = ""

    @property
    def fails(self) -> bool:
        """Whether the code is not valid because of it."""
        return self.severity in {"fatal", "error"}

    def softened(self, severity: Severity) -> "TxIssue":
        """Return it with another severity."""
        return replace(self, severity=severity)

    def because(self, reason: str) -> "TxIssue":
        """Return it with more to say to those who look into it."""
        return replace(self, diagnostics=reason)

    @property
    def row(self) -> Json:
        """It as an element of OperationOutcome.issue."""
        row: Json = {}
        if self.message_id:
            row["extension"] = [{"url": MESSAGE_ID, "valueString": self.message_id}]
        row |= {"severity": self.severity, "code": self.code}
        coding = {"coding": [{"system": ISSUE_TYPES, "code": self.kind}]} if self.kind else {}
        row["details"] = {**coding, "text": self.text}
        if self.diagnostics:
            row["diagnostics"] = self.diagnostics
        if self.path:
            row |= {"location": [self.path], "expression": [self.path]}
        return row


class TxError(Exception):
    """A request that cannot be answered at all, with the reasons.

    Args:
        issues: What is wrong; at least one.
        unknown: Canonical of the code system that is not here, where that is the reason.
    """

    def __init__(self, *issues: TxIssue, unknown: str = "") -> None:
        super().__init__("; ".join(issue.text for issue in issues))
        self.issues = issues
        self.unknown = unknown


class TxRefusal(TxError):
    """A request that is answered with an OperationOutcome in any case, also by operations that report errors in their answer."""


def outcome(issues: Iterable[TxIssue]) -> Json:
    """Return an OperationOutcome of issues."""
    return {"resourceType": "OperationOutcome", "issue": [issue.row for issue in issues]}


@dataclass(frozen=True, slots=True)
class Message:
    """What can be said.

    Attributes:
        id: Its message id.
        severity: How bad it is, unless a caller says otherwise.
        code: A code of IssueType.
        kind: A code of tx-issue-type.
        text: With names in braces.
    """

    id: str
    severity: Severity
    code: str
    kind: str
    text: str

    def issue(self, path: str = "", **values: object) -> TxIssue:
        """Return it as a finding.

        Args:
            path: Where it is found.
            values: For the names in its text.
        """
        return TxIssue(self.severity, self.code, self.kind, self.text.format_map(values), path, self.id)


def joined(texts: Iterable[str]) -> str:
    """Return different texts in alphabetical order, with semicolons between them."""
    return "; ".join(sorted(set(texts)))


def alternatives(items: Sequence[str]) -> str:
    """Return items as a phrase: `a`, `a or b`, `a, b or c`."""
    if len(items) <= 2:
        return " or ".join(items)
    return f"{', '.join(items[:-1])} or {items[-1]}"


# Membership
NOT_IN_VALUE_SET = Message(
    "None_of_the_provided_codes_are_in_the_value_set_one", "error", "code-invalid", "not-in-vs",
    "The provided code {codes} was not found in the value set '{value_set}'",
)  # fmt: skip
THIS_NOT_IN_VALUE_SET = replace(NOT_IN_VALUE_SET, severity="information", kind="this-code-not-in-vs")
NO_CODING_IN_VALUE_SET = Message(
    "TX_GENERAL_CC_ERROR_MESSAGE", "error", "code-invalid", "not-in-vs",
    "No valid coding was found for the value set '{value_set}'",
)  # fmt: skip
NO_SYSTEM = Message(
    "Coding_has_no_system__cannot_validate", "warning", "invalid", "invalid-data",
    "Coding has no system. A code with no system has no defined meaning, and it cannot be validated. A system should be provided",
)  # fmt: skip
NO_SYSTEM_OR_CODE = replace(
    NO_SYSTEM,
    id="Coding_has_no_system_or_code__cannot_validate",
    text="Coding has neither a system nor a code, so it cannot be validated. A system and a code should be provided",
)
NO_CODE = replace(NO_SYSTEM, id="", text="Coding has no code and cannot be validated")
NO_CODE_OF_SYSTEM = replace(NO_CODE, text="Coding has no code for system {system} and cannot be validated")
CANNOT_INFER = Message(
    "UNABLE_TO_INFER_CODESYSTEM", "error", "not-found", "cannot-infer",
    "The System URI could not be determined for the code '{code}' in the ValueSet '{value_set}'",
)  # fmt: skip
AMBIGUOUS_SYSTEM = Message(
    "Unable_to_resolve_system__value_set_has_multiple_matches", "error", "not-found", "cannot-infer",
    "The System URI could not be determined for the code '{code}' in the ValueSet '{value_set}': "
    "value set expansion has multiple matches: {systems}",
)  # fmt: skip

# Codes
UNKNOWN_CODE = Message(
    "Unknown_Code_in_Version", "error", "code-invalid", "invalid-code",
    "Unknown code '{code}' in the CodeSystem '{system}' version '{version}'",
)  # fmt: skip
UNKNOWN_CODE_NO_VERSION = replace(
    UNKNOWN_CODE, id="Unknown_Code_in", text="Unknown code '{code}' in the CodeSystem '{system}'"
)
REASON_OF_CODE = Message("", "information", "code-invalid", "invalid-code", "Error processing '{code}': {reason}")
UNKNOWN_CODE_IN_FRAGMENT = Message(
    "UNKNOWN_CODE_IN_FRAGMENT", "warning", "code-invalid", "invalid-code",
    "Unknown Code '{code}' in the CodeSystem '{system}' version '{version}' - note that the code system is labeled as a fragment, "
    "so the code may be valid in some other fragment",
)  # fmt: skip
ABSTRACT = Message(
    "ABSTRACT_CODE_NOT_ALLOWED", "error", "business-rule", "code-rule",
    "Code '{system}#{code}' is abstract, and not allowed in this context",
)  # fmt: skip
NOT_ACTIVE = Message(
    "STATUS_CODE_WARNING_CODE", "error", "business-rule", "code-rule",
    "The concept '{code}' is valid but is not active",
)  # fmt: skip
INACTIVE = Message(
    "INACTIVE_CONCEPT_FOUND", "warning", "business-rule", "code-comment",
    "The concept '{code}' has a status of {status} and its use should be reviewed",
)  # fmt: skip
DEPRECATED = replace(INACTIVE, id="DEPRECATED_CONCEPT_FOUND")
DEPRECATED_IN_VALUE_SET = Message(
    "CONCEPT_DEPRECATED_IN_VALUESET", "warning", "business-rule", "code-comment",
    "The presence of the concept '{code}' in the system '{system}' in the value set {value_set} is marked with a status of {status} "
    "and its use should be reviewed",
)  # fmt: skip
CASE_DIFFERENCE = Message(
    "CODE_CASE_DIFFERENCE", "information", "business-rule", "code-rule",
    "The code '{code}' differs from the correct code '{right}' by case. Although the code system '{system}' is case insensitive, "
    "implementers are strongly encouraged to use the correct case anyway",
)  # fmt: skip
NOT_NORMAL_FORM = replace(
    CASE_DIFFERENCE,
    id="CODE_NOT_IN_NORMAL_FORM",
    text="The code '{code}' is valid, but it is not the normal form for the code system '{system}'; the normal form is '{right}'",
)

# Displays
WRONG_DISPLAY = Message(
    "Display_Name_for__should_be_one_of__instead_of", "error", "invalid", "invalid-display",
    "Wrong Display Name '{display}' for {system}#{code}. Valid display is {choices} (for the language(s) '{languages}')",
)  # fmt: skip
WRONG_WHITESPACE = replace(
    WRONG_DISPLAY,
    id="Display_Name_WS_for__should_be_one_of__instead_of",
    text="Wrong whitespace in Display Name '{display}' for {system}#{code}. Valid display is {choices} "
    "(for the language(s) '{languages}')",
)
NO_DISPLAY_OF_LANGUAGE = replace(
    WRONG_DISPLAY,
    id="NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_ERR",
    text="Wrong Display Name '{display}' for {system}#{code}. There are no valid display names found for language(s) "
    "'{languages}'. Default display is '{default}'",
)
DEFAULT_DISPLAY_ONLY = Message(
    "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_OK", "information", "invalid", "invalid-display",
    "There are no valid display names found for the code {system}#{code} for language(s) '{languages}'. "
    "The display is '{display}' which is a valid display for the default language",
)  # fmt: skip
NO_DISPLAY_AT_ALL = Message(
    "NO_VALID_DISPLAY_AT_ALL", "warning", "invalid", "invalid-display",
    "Cannot validate display Name '{display}' for {system}#{code}: No displays are known",
)  # fmt: skip
WITHDRAWN_DISPLAY = Message(
    "INACTIVE_DISPLAY_FOUND", "error", "invalid", "display-comment",
    "'{display}' is no longer considered a correct display for code '{code}' (status = {status}). "
    "The correct display is {choices}.",
)  # fmt: skip

# Code systems
UNKNOWN_SYSTEM = Message(
    "UNKNOWN_CODESYSTEM", "error", "not-found", "not-found",
    "A definition for CodeSystem {system} could not be found, so the code cannot be validated",
)  # fmt: skip
UNKNOWN_SYSTEM_VERSION = Message(
    "UNKNOWN_CODESYSTEM_VERSION", "error", "not-found", "not-found",
    "A definition for CodeSystem '{system}' version '{version}' could not be found, so the code cannot be validated. "
    "Valid versions: {versions}",
)  # fmt: skip
NO_SYSTEM_VERSION = replace(
    UNKNOWN_SYSTEM_VERSION,
    id="UNKNOWN_CODESYSTEM_VERSION_NONE",
    text="A definition for CodeSystem '{system}' version '{version}' could not be found, so the code cannot be validated. "
    "No versions of this code system are known",
)
UNKNOWN_SYSTEM_EXPANDING = Message(
    "UNKNOWN_CODESYSTEM_EXP", "error", "not-found", "not-found",
    "A definition for CodeSystem '{system}' could not be found, so the value set cannot be expanded",
)  # fmt: skip
UNKNOWN_SYSTEM_VERSION_EXPANDING = replace(
    UNKNOWN_SYSTEM_EXPANDING,
    id="UNKNOWN_CODESYSTEM_VERSION_EXP",
    text="A definition for CodeSystem '{system}' version '{version}' could not be found, so the value set cannot be expanded. "
    "Valid versions: {versions}",
)
NO_SYSTEM_VERSION_EXPANDING = replace(
    UNKNOWN_SYSTEM_EXPANDING,
    id="UNKNOWN_CODESYSTEM_VERSION_EXP_NONE",
    text="A definition for CodeSystem '{system}' version '{version}' could not be found, so the value set cannot be expanded. "
    "No versions of this code system are known",
)
NOT_CHECKED = replace(
    UNKNOWN_SYSTEM,
    id="UNKNOWN_CODESYSTEM_CODING_NOT_CHECKED",
    severity="warning",
    text="A definition for the code system '{system}' could not be found, so this coding was not checked. "
    "The CodeableConcept is still valid: another coding is in the value set",
)
RELATIVE_SYSTEM = Message(
    "Terminology_TX_System_Relative", "error", "invalid", "invalid-data",
    "Coding.system must be an absolute reference, not a local reference",
)  # fmt: skip
SYSTEM_IS_VALUE_SET = Message(
    "Terminology_TX_System_ValueSet2", "error", "invalid", "invalid-data",
    "The Coding references a value set, not a code system ('{system}')",
)  # fmt: skip
SYSTEM_IS_SUPPLEMENT = Message(
    "CODESYSTEM_CS_NO_SUPPLEMENT", "error", "invalid", "invalid-data",
    "CodeSystem {system} is a supplement, so can't be used as a value in Coding.system",
)  # fmt: skip
SUPPLEMENT_MISSING = Message(
    "VALUESET_SUPPLEMENT_MISSING", "error", "not-found", "not-found", "Required supplement not found: {supplements}"
)
SUPPLEMENTS_MISSING = replace(SUPPLEMENT_MISSING, text="Required supplements not found: {supplements}")

# Versions
MISMATCH = Message(
    "VALUESET_VALUE_MISMATCH", "error", "invalid", "vs-invalid",
    "The code system '{system}' version '{version}' in the ValueSet include is different to the one in the value ('{given}')",
)  # fmt: skip
MISMATCH_CHANGED = replace(
    MISMATCH,
    id="VALUESET_VALUE_MISMATCH_CHANGED",
    text="The code system '{system}' version '{version}' resulting from the version '{stated}' in the ValueSet include is different "
    "to the one in the value ('{given}')",
)
MISMATCH_DEFAULT = replace(
    MISMATCH,
    id="VALUESET_VALUE_MISMATCH_DEFAULT",
    severity="warning",
    text="The code system '{system}' version '{version}' for the versionless include in the ValueSet include is different to the "
    "one in the value ('{given}')",
)
VERSION_CHECK = Message(
    "VALUESET_VERSION_CHECK", "error", "exception", "version-error",
    "The version '{version}' is not allowed for system '{system}': required to be '{required}' by a version-check parameter",
)  # fmt: skip
CONFLICTING_VERSIONS = Message(
    "SYSTEM_VERSION_MULTIPLE_OVERRIDE", "error", "exception", "version-error",
    "The parameters ask for two versions of '{system}': '{one}' and '{other}'. Ask for one of them",
)  # fmt: skip

# Value sets
UNKNOWN_VALUE_SET = Message(
    "Unable_to_resolve_value_Set_", "error", "not-found", "not-found",
    "A definition for the value Set '{value_set}' could not be found",
)  # fmt: skip
UNKNOWN_IMPORT = replace(
    UNKNOWN_VALUE_SET, id="VS_EXP_IMPORT_UNK", text="Unable to find included value set '{value_set}'"
)
UNKNOWN_IMPORT_VERSION = replace(
    UNKNOWN_VALUE_SET,
    id="VS_EXP_IMPORT_UNK_PINNED",
    text="Unable to find included value set '{value_set}' version '{version}'",
)
IMPORT_IS_CODE_SYSTEM = Message(
    "VS_EXP_IMPORT_CS", "error", "invalid", "vs-invalid",
    "Cannot include value set '{value_set}' because it's actually a code system",
)  # fmt: skip
CYCLE = Message(
    "VALUESET_CIRCULAR_REFERENCE", "error", "processing", "vs-invalid",
    "Found a circularity pointing to {value_set} processing ValueSet with pathway [{pathway}]",
)  # fmt: skip
NO_COMPOSE = Message(
    "VALUESET_NO_COMPOSE", "error", "invalid", "vs-invalid",
    "The value set {value_set} has no compose and no expansion, so it cannot be expanded",
)  # fmt: skip
EXPRESSION_NOT_UNDERSTOOD = Message(
    "VALUESET_EXPRESSION_NOT_UNDERSTOOD", "error", "invalid", "vs-invalid",
    "The expression of the value set {value_set} was not understood. {reason}",
)  # fmt: skip
FILTER_WITHOUT_VALUE = Message(
    "UNABLE_TO_HANDLE_SYSTEM_FILTER_WITH_NO_VALUE", "error", "invalid", "vs-invalid",
    "The system {system} filter with property = {property}, op = {op} has no value",
)  # fmt: skip
FILTER_NOT_UNDERSTOOD = Message(
    "FILTER_NOT_UNDERSTOOD", "error", "not-supported", "vs-invalid",
    'The filter "{property} {op} {value}" from the value set {value_set} was not understood in the context of {system}',
)  # fmt: skip
TOO_DEEP = Message(
    "VALUESET_TOO_DEEP", "error", "too-costly", "vs-invalid",
    "The value set '{value_set}' is imported over more than {limit} others in a row. Import what is needed of them directly",
)  # fmt: skip
TOO_MANY_PARTS = Message(
    "VALUESET_TOO_MANY_PARTS", "error", "too-costly", "vs-invalid",
    "More than {limit} includes and excludes would have to be looked at; the last ones are of '{value_set}'. "
    "List more codes in each include, or split the value set",
)  # fmt: skip
TOO_LONG = Message(
    "VALUESET_TOO_LONG", "error", "too-costly", "vs-invalid",
    "What the value set includes could not be found within {seconds} seconds, up to '{value_set}'. Split the value set",
)  # fmt: skip
TOO_COSTLY = Message(
    "VALUESET_TOO_COSTLY", "error", "too-costly", "",
    "The value set '{value_set}' expansion has too many codes to produce ({limit})",
)  # fmt: skip

# Status of what is referred to
STATUS: dict[str, Message] = {
    status: Message(
        f"MSG_{status.upper()}",
        "information",
        "business-rule",
        "status-check",
        f"Reference to {status} {{type}} {{canonical}}",
    )
    for status in ("deprecated", "withdrawn", "retired", "experimental", "draft")
}
