"""JSON Patch against the community's suite for RFC 6902, HL7's cases, and what those leave out."""

import tarfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server.model import json
from fhir_server.model.errors import BadRequest, Unprocessable
from fhir_server.model.json_patch import apply, read, same

SUITE = "testsuites/json-patch-tests"
HL7 = "testsuites/fhir-test-cases-core.tar.xz"


def patched(rows: Any, document: Any) -> Any:
    return apply(read(rows), document)


def deviations(cases: list[Any]) -> tuple[int, list[Any]]:
    """Return how many cases there are, and those whose outcome is another than the one that they state."""
    count, wrong = 0, []
    for case in cases:
        if "patch" not in case:
            continue
        count += 1
        try:
            result = patched(case["patch"], case["doc"])
        except (BadRequest, Unprocessable) as error:
            result = error
        refused = isinstance(result, Exception)
        fits = refused if "error" in case else not refused and same(result, case.get("expected", result))
        if not fits:
            wrong.append((case, result))
    return count, wrong


def test_the_suite_of_rfc_6902(test_data: Path) -> None:
    cases = [case for name in ("spec_tests", "tests") for case in json.decode(_read(test_data / SUITE, name))]
    # Two cases put one member twice into an operation. They are disabled in the suite because a parser sees no duplicate
    # any more; ours refuses it before (test_json).
    lost = [case for case in cases if case.get("disabled") and "two 'op' members" in case.get("error", "")]
    count, wrong = deviations([case for case in cases if case not in lost])
    assert wrong == []
    assert (count, len(lost)) == (110, 2)


def test_the_cases_of_hl7(test_data: Path) -> None:
    with tarfile.open(test_data / HL7) as archive:
        file = archive.extractfile("r4/patch/json-patch-tests.json")
        assert file
        count, wrong = deviations(json.decode(file.read()))
    assert wrong == []
    assert count == 16


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, Decimal("1.0"), True),
        (Decimal("1.0"), Decimal("1.00"), True),
        (1, True, False),
        (0, False, False),
        (Decimal("1.0"), True, False),
        (1, "1", False),
        ("", None, False),
        (None, False, False),
        ([], {}, False),
        ([1, 2], [2, 1], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": None}, {}, False),
        (2**53 + 1, Decimal("9007199254740993.0"), True),
        (2**53 + 1, Decimal(9007199254740992), False),
    ],
)
def test_equality_is_that_of_json(left: Any, right: Any, equal: bool) -> None:
    assert same(left, right) is equal
    test = [{"op": "test", "path": "/x", "value": right}]
    if equal:
        patched(test, {"x": left})
    else:
        with pytest.raises(Unprocessable):
            patched(test, {"x": left})


def test_numbers_keep_their_digits() -> None:
    rows = json.parse_array(b'[{"op":"replace","path":"/a","value":1.00},{"op":"copy","from":"/b","path":"/c"}]')
    assert json.encode(patched(rows, {"a": 1, "b": Decimal("2.50")})) == b'{"a":1.00,"b":2.50,"c":2.50}'


def test_a_patch_may_be_applied_again() -> None:
    operations = read(
        [{"op": "add", "path": "/list", "value": []}, {"op": "add", "path": "/list/-", "value": {"a": [1]}}]
    )
    first = apply(operations, {})
    first["list"][0]["a"].append(2)
    assert apply(operations, {}) == {"list": [{"a": [1]}]}


def test_a_copy_is_a_value_of_its_own() -> None:
    rows = [{"op": "copy", "from": "/a", "path": "/b"}, {"op": "add", "path": "/b/-", "value": 2}]
    assert patched(rows, {"a": [1]}) == {"a": [1], "b": [1, 2]}


@pytest.mark.parametrize(
    "row",
    [
        1,
        {},
        {"path": "/a"},
        {"op": "add", "path": "/a"},
        {"op": "test", "path": "/a"},
        {"op": "ADD", "path": "/a", "value": 1},
        {"op": ["add"], "path": "/a", "value": 1},
        {"op": "add", "value": 1},
        {"op": "add", "path": None, "value": 1},
        {"op": "add", "path": "a", "value": 1},
        {"op": "add", "path": "#/a", "value": 1},
        {"op": "add", "path": "/~2", "value": 1},
        {"op": "add", "path": "/a~", "value": 1},
        {"op": "move", "path": "/a"},
        {"op": "copy", "from": "a", "path": "/a"},
    ],
)
def test_refuses_what_is_no_operation(row: Any) -> None:
    with pytest.raises(BadRequest, match="Operation 0 of the patch"):
        read([row])


@pytest.mark.parametrize(
    "row",
    [
        {"op": "remove", "path": ""},
        {"op": "remove", "path": "/none"},
        {"op": "remove", "path": "/list/-"},
        {"op": "remove", "path": "/list/2"},
        {"op": "replace", "path": "/none", "value": 1},
        {"op": "replace", "path": "/list/-", "value": 1},
        {"op": "add", "path": "/list/3", "value": 1},
        {"op": "add", "path": "/list/01", "value": 1},
        {"op": "add", "path": "/list/-1", "value": 1},
        {"op": "add", "path": "/list/+1", "value": 1},
        {"op": "add", "path": "/list/ 1", "value": 1},
        {"op": "add", "path": "/list/\N{SUPERSCRIPT TWO}", "value": 1},
        {"op": "add", "path": "/list/99999999999999999999", "value": 1},
        {"op": "add", "path": "/text/0", "value": "x"},
        {"op": "test", "path": "/text/0", "value": "w"},
        {"op": "test", "path": "/list/", "value": 1},
        {"op": "test", "path": "/none", "value": None},
        {"op": "move", "from": "/object", "path": "/object/inner"},
        {"op": "move", "from": "", "path": "/object"},
        {"op": "move", "from": "/none", "path": "/none"},
        {"op": "copy", "from": "/list/-", "path": "/a"},
    ],
)
def test_refuses_what_does_not_fit(row: Any) -> None:
    with pytest.raises(Unprocessable, match=f"Operation 0 of the patch, {row['op']}"):
        patched([row], {"list": [1, 2], "text": "word", "object": {"inner": 1}})


def test_an_empty_name_is_a_name() -> None:
    assert patched([{"op": "replace", "path": "/", "value": 2}], {"": 1}) == {"": 2}
    assert patched([{"op": "replace", "path": "/a~1b~01", "value": 2}], {"a/b~1": 1}) == {"a/b~1": 2}


def test_a_move_within_a_list_counts_places_after_the_removal() -> None:
    assert patched([{"op": "move", "from": "/0", "path": "/2"}], [1, 2, 3]) == [2, 3, 1]
    with pytest.raises(Unprocessable):
        patched([{"op": "move", "from": "/0", "path": "/3"}], [1, 2, 3])


def _doubling(_: int) -> Any:
    return {"op": "copy", "from": "/a", "path": "/a/-"}


def _nesting(number: int) -> Any:
    return {"op": "copy", "from": "", "path": "/a/1" * number + "/a/-"}


@pytest.mark.parametrize("grow", [_doubling, _nesting])
def test_a_short_patch_cannot_fill_the_memory(grow: Callable[[int], Any]) -> None:
    with pytest.raises(Unprocessable, match=r"levels deep|too large"):
        patched([grow(number) for number in range(60)], {"a": [[]]})


def test_the_result_is_no_deeper_than_what_may_be_sent() -> None:
    deep: Any = []
    for _ in range(60):
        deep = [deep]
    with pytest.raises(Unprocessable, match="100 levels deep"):
        patched([{"op": "add", "path": "/0" * 60, "value": deep}], deep)


def _read(folder: Path, name: str) -> bytes:
    return (folder / f"{name}.json").read_bytes()
