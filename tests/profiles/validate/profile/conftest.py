"""A way to validate a resource against small profiles."""

from typing import Any

import pytest

from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.issue import Issue
from profiles.snapshot.source import Source
from profiles.validate.profile.asking import Asking
from profiles.validate.profile.validator import ProfileValidator

Json = dict[str, Any]


@pytest.fixture(scope="module")
def engine(definitions: Definitions) -> Engine:
    return Engine(definitions)


@pytest.fixture
def findings(definitions: Definitions, engine: Engine) -> Any:
    """Validate a resource against the first of some profiles: (severity, expression, beginning of the text) of each finding."""

    def check(
        resource: Json, *structures: Json, must_support: bool = False, asking: Asking | None = None, **options: Any
    ) -> list[Issue]:
        source = Source(definitions, resources=structures)
        validator = ProfileValidator(source, engine=engine, must_support=must_support, **options)
        return validator.check(resource, [structures[0]["url"]], asking=asking)

    return check
