"""Each invariant of R4 is broken once: what breaks it is found, by the rule and by the expression; without the change neither finds it.

`invariants.json` has a resource for each key (an official example, or one of its own) and the change that breaks the invariant in
it: the members to set, or with null to remove, of the object at a place. Keys that `test_invariant` breaks have no row.
"""

import json
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.validate.invariant import IN_CONTEXT, IN_THE_WALK, ON_TEXTS, UNBREAKABLE, native
from profiles.validate.published import WITHOUT_SENSE
from profiles.validate.validator import Validator
from terminology.ucum.ucum import Ucum
from tests.profiles.test_invariant import BROKEN, EXPRESSED, stated
from tests.profiles.test_published import ELSEWHERE, broken

Json = dict[str, Any]

TABLE = json.loads((Path(__file__).parent / "invariants.json").read_text(encoding="utf-8"), parse_float=Decimal)
RESOURCES: dict[str, Json] = TABLE["resources"]
ROWS: dict[str, Json] = TABLE["rows"]

MESSAGES = {
    "dom-3": "contained-unused",
    "ele-1": "object-empty",
    "ref-1": "reference-contained",
    "txt-1": "narrative-element",
    "txt-2": "narrative-empty",
}
"""What the walk says of its own invariants."""


@pytest.fixture(scope="module")
def engine(definitions: Definitions) -> Engine:
    return Engine(definitions, units=Ucum.load())


def pair(key: str, examples: dict[str, Json]) -> tuple[Json, Json]:
    """Return the resource that meets an invariant, and the same with the change that breaks it."""
    row = ROWS[key]
    resource = RESOURCES.get(row["in"]) or examples[row["in"]]
    changed = deepcopy(resource)
    node: Any = changed
    for step in filter(None, row["at"].split(".")):
        node = node[int(step)] if isinstance(node, list) else node[step]
    for name, value in row["change"].items():
        if value is None:
            del node[name]
        else:
            node[name] = value
    return resource, changed


def reported(validator: Validator, resource: Json) -> set[str]:
    return {one.message_id.rpartition("#")[2] for one in validator.check(resource)}


def test_every_invariant_is_broken_by_something(definitions: Definitions) -> None:
    """Those that cannot fail are listed with their reasons in `UNBREAKABLE` and `WITHOUT_SENSE`."""
    keys = {key for _, key in stated(definitions)}
    assert keys == {key for key, _ in BROKEN} | ROWS.keys() | UNBREAKABLE.keys() | WITHOUT_SENSE.keys()
    assert len(keys) == 238


def test_every_invariant_has_a_rule_or_an_expression_that_compiles(definitions: Definitions, engine: Engine) -> None:
    for path, key in stated(definitions):
        assert native(key, path) or key in EXPRESSED or key in UNBREAKABLE


@pytest.mark.parametrize("key", sorted(ROWS))
def test_what_breaks_it_is_found_by_rule_and_by_expression(
    validator: Validator, engine: Engine, examples: dict[str, Json], key: str
) -> None:
    right, wrong = pair(key, examples)
    name = MESSAGES.get(key, key)
    assert name not in reported(validator, right)
    assert name in reported(validator, wrong)
    if key not in ELSEWHERE | IN_THE_WALK.keys():
        assert key not in broken(right, engine)
        assert key in broken(wrong, engine)


def test_every_rule_stands_in_one_table() -> None:
    assert not IN_CONTEXT.keys() & ON_TEXTS.keys()
    assert IN_THE_WALK.keys() == MESSAGES.keys()
