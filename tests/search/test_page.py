"""Paging tokens: they carry the values, and nobody can forge, alter, outlive or misuse them."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from bson import Int64
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fhir_server.model.errors import Gone, InvalidParameter
from fhir_server.search.page import Cursor, Inside, Sealing, decode, encode
from fhir_server.search.parse import SearchRequest

SEALING = Sealing(b"k" * 32, 24, "ann", "http://localhost/fhir")
SEARCH = SearchRequest("Patient", applied=(("name", "ann"), ("_sort", "birthdate"), ("_count", "10")))


def carrying(token: str, request: SearchRequest = SEARCH) -> SearchRequest:
    return replace(request, cursor=token)


@given(
    st.lists(
        st.none()
        | st.text()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False)
        | st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001
        max_size=6,
    )
)
def test_what_is_put_in_comes_out(values: list[object]) -> None:
    token = encode(Cursor(tuple(values)), SEARCH, SEALING)
    assert token.isascii()
    assert decode(carrying(token), SEALING) == Cursor(tuple(values))


def test_the_integers_of_the_database_are_integers() -> None:
    assert decode(carrying(encode(Cursor((Int64(5),)), SEARCH, SEALING)), SEALING) == Cursor((5,))


def test_a_search_without_token_begins_at_the_beginning() -> None:
    assert decode(SEARCH, SEALING) is None


def test_a_changed_token_is_refused() -> None:
    token = encode(Cursor(("x", 5)), SEARCH, SEALING)
    data = bytearray(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(InvalidParameter, match="is not one of this server's"):
            decode(carrying(urlsafe_b64encode(changed).decode()), SEALING)


@pytest.mark.parametrize("token", ["x", "", "AAAA", "é", "....", "A" * 100, "%%%"])
def test_what_is_no_token_is_refused(token: str) -> None:
    if token:
        with pytest.raises(InvalidParameter, match="Follow the links of a search as they are"):
            decode(carrying(token), SEALING)


def test_a_token_of_another_server_is_refused() -> None:
    with pytest.raises(InvalidParameter):
        decode(carrying(encode(Cursor((1,)), SEARCH, replace(SEALING, key=b"o" * 32))), SEALING)


@pytest.mark.parametrize(
    "other",
    [
        SearchRequest("Patient", applied=(("name", "bob"), ("_sort", "birthdate"))),
        SearchRequest("Patient", applied=(("name", "ann"), ("_sort", "-birthdate"))),
        SearchRequest("Person", applied=SEARCH.applied),
        SearchRequest("Patient"),
    ],
)
def test_a_token_of_another_search_is_refused(other: SearchRequest) -> None:
    with pytest.raises(InvalidParameter, match="belongs to another search"):
        decode(carrying(encode(Cursor((1,)), SEARCH, SEALING), other), SEALING)


def test_the_size_of_a_page_and_its_form_may_change_on_the_way() -> None:
    token = encode(Cursor((1,)), SEARCH, SEALING)
    other = SearchRequest(
        "Patient", applied=(("name", "ann"), ("_sort", "birthdate"), ("_count", "50"), ("_pretty", "true"))
    )
    assert decode(carrying(token, other), SEALING) == Cursor((1,))


def test_the_order_of_parameters_is_free_but_not_that_of_sort_keys() -> None:
    search = SearchRequest("Patient", applied=(("name", "ann"), ("gender", "male"), ("_sort", "a"), ("_sort", "b")))
    token = encode(Cursor((1,)), search, SEALING)
    pairs = search.applied
    assert decode(carrying(token, SearchRequest("Patient", applied=(*pairs[1:], pairs[0]))), SEALING)
    with pytest.raises(InvalidParameter):
        decode(carrying(token, SearchRequest("Patient", applied=(pairs[0], pairs[1], pairs[3], pairs[2]))), SEALING)


def test_a_token_expires() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    token = encode(Cursor((1,)), SEARCH, SEALING, now)
    assert decode(carrying(token), SEALING, now + timedelta(hours=24)) == Cursor((1,))
    with pytest.raises(Gone, match="older than 24 hours") as caught:
        decode(carrying(token), SEALING, now + timedelta(hours=24, seconds=1))
    assert caught.value.status == 410


def test_a_token_can_not_be_read() -> None:
    secret = "Lovelace-Byron"
    token = encode(Cursor((secret, 1815)), SEARCH, SEALING)
    assert secret.encode() not in urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert encode(Cursor((secret, 1816)), SEARCH, SEALING)[25:60] != token[25:60]


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (replace(SEALING, caller="bob"), "given to another caller"),
        (replace(SEALING, base="http://127.0.0.1/fhir"), "belongs to another search"),
    ],
)
def test_a_token_is_of_one_caller_at_one_base(other: Sealing, what: str) -> None:
    token = encode(Cursor((1,)), SEARCH, SEALING)
    with pytest.raises(InvalidParameter, match=what):
        decode(carrying(token), other)


def test_a_place_among_includes_is_kept_and_belongs_to_what_is_included() -> None:
    search = SearchRequest("Patient", applied=(("_revinclude", "Observation:subject"), ("_count", "10")))
    cursor = Cursor((), Inside((datetime(2026, 1, 1, tzinfo=UTC), 5), True, "Observation", "o-7"))
    token = encode(cursor, search, SEALING)
    assert decode(carrying(token, search), SEALING) == cursor
    with pytest.raises(InvalidParameter, match="belongs to another search"):
        decode(carrying(token, SearchRequest("Patient", applied=(("_count", "10"),))), SEALING)
    plain = encode(Cursor((1,)), search, SEALING)
    assert decode(carrying(plain, SearchRequest("Patient", applied=(("_count", "10"),))), SEALING) == Cursor((1,))
