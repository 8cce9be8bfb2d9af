"""What every incoming resource passes before it is stored: server-owned meta off, checks, index entries, envelope.

The result is a `Draft`; `Draft.document` turns it into the stored document once version and time are known, writing the
native form `r` and the wire form `j` from the same value in the same step (docs/decisions/two-forms-of-a-resource.md).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fhir_server.access.labels import Labels
from fhir_server.facilities import cohort
from fhir_server.model import instant, json
from fhir_server.model.errors import BadRequest, Unprocessable
from fhir_server.model.stored import Stored
from fhir_server.search.index import Indexer, version
from fhir_server.search.reading import Reading
from profiles.definitions.registry import Definitions
from profiles.issue import Issue
from profiles.validate.validator import Validator

SHARED = frozenset(
    {
        "ActivityDefinition",
        "CapabilityStatement",
        "ChargeItemDefinition",
        "CodeSystem",
        "CompartmentDefinition",
        "ConceptMap",
        "EffectEvidenceSynthesis",
        "EventDefinition",
        "Evidence",
        "EvidenceVariable",
        "ExampleScenario",
        "GraphDefinition",
        "ImplementationGuide",
        "Library",
        "Measure",
        "MessageDefinition",
        "NamingSystem",
        "OperationDefinition",
        "OrganizationAffiliation",
        "PlanDefinition",
        "Practitioner",
        "Questionnaire",
        "ResearchDefinition",
        "ResearchElementDefinition",
        "RiskEvidenceSynthesis",
        "SearchParameter",
        "StructureDefinition",
        "StructureMap",
        "TerminologyCapabilities",
        "TestReport",
        "TestScript",
        "ValueSet",
    }
)  # fmt: skip - types that belong to the deployment's root Organization, whoever creates them (docs/custodians.md)

_SERVER_OWNED = frozenset({"resourceType", "id", "meta"})
# Entries without request, and two of one fullUrl: `bundle.entries` refuses them, and names the entries.
_TOLD_BY_ENTRY = frozenset(
    f"http://hl7.org/fhir/StructureDefinition/Bundle#{key}" for key in ("bdl-3", "bdl-5", "bdl-7")
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked resource on its way into the store.

    Attributes:
        resource_type: Its type.
        id: Logical id that it will have.
        resource: The resource without server-owned meta, `resourceType`, `id` and `meta` first.
        wire: The same as JSON, in which a version only has to be inserted.
        derived: What the resource itself says of its envelope (`sl`).
        entries: Search part of the stored document (`s`, `rf`, `p`, `d`, …).
        indexer: What has made the entries.
        warnings: Findings that do not refuse it.
        advice: Finds more of them, for who asks to be told.
    """

    resource_type: str
    id: str
    resource: dict[str, Any]
    wire: bytes
    derived: Mapping[str, Any]
    entries: Mapping[str, Any]
    indexer: Indexer
    warnings: tuple[Issue, ...]
    advice: Callable[[], Sequence[Issue]] = tuple

    def told(self) -> list[Issue]:
        """Return all that may be told to who has sent it."""
        return [*self.warnings, *self.advice()]

    @property
    def references(self) -> list[str]:
        """Distinct literal local references, `Type/id`."""
        references: list[str] = self.entries.get("rf", [])
        return references

    def document(
        self, vid: int, moment: datetime, order: int, method: str, envelope: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the stored document of this version.

        Args:
            vid: Version number.
            moment: `meta.lastUpdated`.
            order: Time-ordered tie-break.
            method: POST, PUT or PATCH.
            envelope: `f`, `rg` and other server-owned fields.
        """
        own = {"versionId": str(vid), "lastUpdated": instant.text(moment)}
        meta = self.resource["meta"]
        held = {"held": True} if self.entries.get("gt") == "held" or "hb" in envelope else {}
        return {
            "_id": self.id,
            "v": vid,
            "lu": moment,
            "o": order,
            "m": method,
            "sv": version(self.indexer.reading),
            **envelope,
            **held,
            **self.derived,
            **self.entries,
            "r": {**self.resource, "meta": {**own, **meta}},
            "j": self._wire(json.encode(own)[1:-1]),
        }

    def says(self, stored: Stored) -> bool:
        """Return whether a stored version has the same content, so that nothing would come of it but a number."""
        own = {"versionId": str(stored.vid), "lastUpdated": instant.text(stored.last_updated)}
        return self._wire(json.encode(own)[1:-1]) == stored.body

    def _wire(self, version: bytes) -> bytes:
        """Return the JSON with members put at the head of its meta, which is its third member."""
        place = len(json.encode({"resourceType": self.resource_type, "id": self.id})) + len(b'"meta":{')
        wire = self.wire
        return wire[:place] + version + (b"," if self.resource["meta"] else b"") + wire[place:]


class Intake:
    """The checks, in their order."""

    __slots__ = ("_indexer", "_labels", "_validator")

    def __init__(self, validator: Validator, indexer: Indexer, labels: Labels) -> None:
        self._validator = validator
        self._indexer = indexer
        self._labels = labels

    def draft(
        self, resource_type: str, resource_id: str, resource: dict[str, Any], *, published: bool = False
    ) -> Draft:
        """Return the draft of a resource that a client sent.

        Args:
            resource_type: Type in the URL.
            resource_id: Logical id that it will have.
            resource: What was sent.
            published: Whether it is a definition of a guide, which was checked as such (`guides.serving`).

        Raises:
            BadRequest: The type is not that of the URL, or the resource fails the base checks; all findings are in it.
            Unprocessable: It has a security label that nobody knows, or is a Group that is virtual.
        """
        stated = resource.get("resourceType")
        if stated != resource_type:
            raise BadRequest(
                f"The body is a {_shown(stated)}, but the URL is for {resource_type}. Send them with the same type.",
                expression="resourceType",
            )
        if resource_type == cohort.TYPE and cohort.organization_of(resource_id):
            raise Unprocessable(
                f"Group/{resource_id} cannot be written: ids that begin with '{cohort.PREFIX}' are those of the patients of "
                "Organizations, who are known from the record. Choose another id.",
                expression="Group.id",
            )
        head = {"resourceType": resource_type, "id": resource_id}
        kept = {key: value for key, value in resource.items() if key not in _SERVER_OWNED}
        checked = {**head, **_client_meta(resource), **kept}
        issues = [] if published else self.check(checked)
        if any(issue.fails for issue in issues):
            raise BadRequest(f"The {resource_type} is not valid.", issues=issues)
        valid = {**head, "meta": {}, **checked}
        wire = json.encode(valid)
        complete = self._labels.complete(valid, wire)
        if complete is not valid:
            wire = json.encode(complete)
        indexer = self._indexer
        entries = indexer.entries(complete, wire)
        derived = self.restrictions(complete)
        return Draft(resource_type, resource_id, complete, wire, derived, entries, indexer, tuple(issues))

    def check(self, resource: dict[str, Any]) -> list[Issue]:
        """Return what the base checks find wrong with a resource."""
        return self._validator.check(resource, resource["resourceType"])

    def adopt(self, definitions: Definitions) -> None:
        """Make entries by these definitions from now on."""
        self._indexer = self._indexer.following(definitions)

    @property
    def extracted(self) -> Definitions:
        """Definitions with all search parameters that entries are made of."""
        return self._indexer.definitions

    @property
    def reading(self) -> Reading:
        """How values are read; queries must be read in the same way."""
        return self._indexer.reading

    def renewed(self, draft: Draft) -> Draft:
        """Return the draft with the entries that it would get now: search parameters may have come since it was made.

        To be called while the write counts as in flight, so that who added a parameter can wait for those without it.
        """
        indexer = self._indexer
        if draft.indexer is indexer:
            return draft
        return replace(draft, entries=indexer.entries(draft.resource, draft.wire), indexer=indexer)

    def fields(self, resource: dict[str, Any]) -> dict[str, Any]:
        """Return what is derived from a stored resource as its stored document should have it: search part and labels."""
        bare = {**resource, **_client_meta(resource)}
        return {"sv": version(self.reading), **self.restrictions(bare), **self._indexer.entries(bare)}

    def restrictions(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Return the labels that restrict a resource, as its stored document has them: `sl`, where there are any."""
        return self._labels.envelope(resource)

    def check_frame(self, bundle: dict[str, Any]) -> list[Issue]:
        """Return what is wrong with a batch or transaction itself; its resources are checked one by one, when stored."""
        frame = dict(bundle)
        if isinstance(rows := bundle.get("entry"), list):
            frame["entry"] = [_without_resource(row) for row in rows]
            if not rows:
                del frame["entry"]
        issues = self._validator.check(frame, "Bundle")
        return [issue for issue in issues if issue.fails and issue.message_id not in _TOLD_BY_ENTRY]


def _without_resource(row: Any) -> Any:
    return {name: value for name, value in row.items() if name != "resource"} if isinstance(row, dict) else row


def _client_meta(resource: dict[str, Any]) -> dict[str, Any]:
    """Return `{"meta": …}` without version and time, which the server sets; `{}` where nothing else was in it."""
    meta = resource.get("meta", {})
    if not isinstance(meta, dict) or ("meta" in resource and not meta):
        return {"meta": meta}
    rest = {key: value for key, value in meta.items() if key not in {"versionId", "lastUpdated"}}
    return {"meta": rest} if rest else {}


def custodian(draft: Draft, facility: str, root: str) -> str:
    """Return the Organization that keeps a new resource (docs/custodians.md); set once, at create."""
    if draft.resource_type == "Organization":
        return draft.id
    return root if draft.resource_type in SHARED else facility or root


def about(draft: Draft) -> str:
    """Return the patient whom a new resource is about, empty for none or several; of a Task whom it is for."""
    patient = draft.entries.get("p") or draft.entries.get("s", {}).get("patient", "")
    return patient.removeprefix("Patient/") if isinstance(patient, str) else ""


def _shown(stated: Any) -> str:
    return stated[:60] if isinstance(stated, str) and stated else "resource without resourceType"
