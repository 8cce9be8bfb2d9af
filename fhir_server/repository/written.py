"""What a write leaves behind, or would."""

from dataclasses import dataclass

from fhir_server.model.stored import Stored
from profiles.issue import Issue


@dataclass(frozen=True, slots=True)
class Written:
    """A version that was written (in a transaction: that will be, when it commits).

    Attributes:
        stored: The new version.
        created: Whether the instance did not exist before.
        warnings: Findings that did not refuse it.
    """

    stored: Stored
    created: bool
    warnings: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Upcoming:
    """What a write of an instance would make.

    Attributes:
        version: The version number.
        creates: Whether the instance does not exist now.
    """

    version: int
    creates: bool
