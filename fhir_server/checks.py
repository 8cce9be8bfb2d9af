"""`Checks`: what is found wrong with a resource on demand, by the base definitions and by profiles (docs/validation.md)."""

from collections.abc import Sequence
from typing import Any

from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.issue import Issue
from profiles.packages.library import Library
from profiles.snapshot.source import Source
from profiles.validate.profile.validator import ProfileValidator
from profiles.validate.validator import Validator
from terminology.ucum.ucum import Ucum

Json = dict[str, Any]


class Checks:
    """The checks that can be asked for. One instance serves a process.

    Args:
        definitions: FHIR definitions.

    Attributes:
        engine: Compiles FHIRPath.
        library: The packages of implementation guides that it goes by.
    """

    def __init__(self, definitions: Definitions) -> None:
        self.engine = Engine(definitions, units=Ucum.load())
        self._definitions = definitions
        self._base = Validator(definitions, self.engine)
        self.adopt(Library())

    def adopt(self, library: Library) -> None:
        """Go by these packages from now on. What they say is worked out when it is first asked for."""
        self.library = library
        self._profiles = ProfileValidator(Source(self._definitions, library), engine=self.engine, must_support=True)

    def knows(self, profile: str) -> bool:
        """Return whether a profile is at hand."""
        return self._profiles.snapshots.find(profile) is not None

    def findings(self, resource: Json, resource_type: str, profiles: Sequence[str] = ()) -> list[Issue]:
        """Return what is wrong: errors before warnings and information, each in the order of the document.

        Args:
            resource: Decoded JSON.
            resource_type: Type that it is to be of.
            profiles: Canonicals of profiles that it is to conform to, beside those that its meta.profile names.
        """
        found = self._base.check(resource, resource_type, strict=True)
        if not any(one.fails and one.code in {"structure", "invalid"} for one in found):
            found = [*dict.fromkeys([*found, *self._profiles.check(resource, profiles)])]
        return [one for one in found if one.fails] + [one for one in found if not one.fails]
