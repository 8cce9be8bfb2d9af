"""Small guides, as hand-made for a test: a profile, a search parameter and the guide itself, in any version."""

from dataclasses import dataclass
from typing import Any

from profiles.packages import package
from profiles.packages.package import Package
from tests.profiles.packages.test_package import packed

Json = dict[str, Any]


@dataclass(frozen=True)
class Publisher:
    """Publishes one guide; each test has its own, for they share a server."""

    name: str

    @property
    def canonical(self) -> str:
        return f"http://{self.name}.example/fhir"

    @property
    def profile_url(self) -> str:
        return f"{self.canonical}/StructureDefinition/{self.name}-patient"

    def profile(self, version: str = "1.0.0", **more: Any) -> Json:
        """A Patient that must have a name."""
        element = [{"id": "Patient", "path": "Patient"}, {"id": "Patient.name", "path": "Patient.name", "min": 1}]
        return {
            "resourceType": "StructureDefinition",
            "id": f"{self.name}-patient",
            "url": self.profile_url,
            "version": version,
            "name": f"Patient{self.name.title()}",
            "status": "active",
            "kind": "resource",
            "abstract": False,
            "type": "Patient",
            "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
            "derivation": "constraint",
            "differential": {"element": element},
            **more,
        }

    def parameter(self, version: str = "1.0.0", **more: Any) -> Json:
        """Patients by the nickname in an extension."""
        return {
            "resourceType": "SearchParameter",
            "id": f"{self.name}-nick",
            "url": f"{self.canonical}/SearchParameter/nick",
            "version": version,
            "name": "Nick",
            "status": "active",
            "description": "By nickname.",
            "code": f"nick-{self.name}",
            "base": ["Patient"],
            "type": "string",
            "expression": f"Patient.extension('{self.canonical}/StructureDefinition/nick').value",
            **more,
        }

    def guide(self, version: str = "1.0.0", **more: Any) -> Json:
        """The guide itself, which names the profile and two examples."""

        def row(reference: str, *, example: bool) -> Json:
            return {"reference": {"reference": reference}, "exampleBoolean": example}

        rows = [
            row(f"StructureDefinition/{self.name}-patient", example=False),
            row("Patient/an-example", example=True),
            row("ValueSet/an-example", example=True),
        ]
        return {
            "resourceType": "ImplementationGuide",
            "id": self.name,
            "url": f"{self.canonical}/ImplementationGuide/{self.name}",
            "version": version,
            "name": "Guide",
            "status": "active",
            "packageId": self.name,
            "fhirVersion": ["4.0.1"],
            "definition": {"resource": rows},
            **more,
        }

    def archive(self, version: str, *resources: Json, **needs: str) -> bytes:
        """A `.tgz` file with these resources."""
        manifest = {
            "name": self.name,
            "version": version,
            "title": "A guide",
            "canonical": self.canonical,
            "fhirVersions": ["4.0.1"],
            "dependencies": {"hl7.fhir.r4.core": "4.0.1", **needs},
        }
        files = {f"package/{number}.json": one for number, one in enumerate(resources)}
        return packed({"package/package.json": manifest, **files})

    def package(self, version: str, *resources: Json, **needs: str) -> Package:
        """The same, read."""
        return package.read(self.archive(version, *resources, **needs))

    def whole(self, version: str = "1.0.0", **needs: str) -> Package:
        """The guide with all three."""
        return self.package(version, self.profile(version), self.parameter(version), self.guide(version), **needs)
