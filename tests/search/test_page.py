"""Paging tokens: they carry the values, and nobody can forge, alter, outlive or misuse them."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from bson import Int64
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.model.errors import Gone, InvalidParameter
from fhir_server.search.page import Cursor, decode, encode
from fhir_server.search.parse import SearchRequest

KEY = b"k" * 32
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
    token = encode(Cursor(tuple(values)), SEARCH, KEY)
    assert token.isascii()
    assert decode(carrying(token), KEY, 1) == Cursor(tuple(values))


def test_the_integers_of_the_database_are_integers() -> None:
    assert decode(carrying(encode(Cursor((Int64(5),)), SEARCH, KEY)), KEY, 1) == Cursor((5,))


def test_a_search_without_token_begins_at_the_beginning() -> None:
    assert decode(SEARCH, KEY, 1) is None


def test_a_changed_token_is_refused() -> None:
    token = encode(Cursor(("x", 5)), SEARCH, KEY)
    data = bytearray(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(InvalidParameter, match="is not one of this server's"):
            decode(carrying(urlsafe_b64encode(changed).decode()), KEY, 1)


@pytest.mark.parametrize("token", ["x", "", "AAAA", "é", "....", "A" * 100, "%%%"])
def test_what_is_no_token_is_refused(token: str) -> None:
    if token:
        with pytest.raises(InvalidParameter, match="Follow the links of a search as they are"):
            decode(carrying(token), KEY, 1)


def test_a_token_of_another_server_is_refused() -> None:
    with pytest.raises(InvalidParameter):
        decode(carrying(encode(Cursor((1,)), SEARCH, b"other")), KEY, 1)


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
        decode(carrying(encode(Cursor((1,)), SEARCH, KEY), other), KEY, 1)


def test_the_size_of_a_page_and_its_form_may_change_on_the_way() -> None:
    token = encode(Cursor((1,)), SEARCH, KEY)
    other = SearchRequest(
        "Patient", applied=(("name", "ann"), ("_sort", "birthdate"), ("_count", "50"), ("_pretty", "true"))
    )
    assert decode(carrying(token, other), KEY, 1) == Cursor((1,))


def test_the_order_of_parameters_is_free_but_not_that_of_sort_keys() -> None:
    search = SearchRequest("Patient", applied=(("name", "ann"), ("gender", "male"), ("_sort", "a"), ("_sort", "b")))
    token = encode(Cursor((1,)), search, KEY)
    pairs = search.applied
    assert decode(carrying(token, SearchRequest("Patient", applied=(*pairs[1:], pairs[0]))), KEY, 1)
    with pytest.raises(InvalidParameter):
        decode(carrying(token, SearchRequest("Patient", applied=(pairs[0], pairs[1], pairs[3], pairs[2]))), KEY, 1)


def test_a_token_expires() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    token = encode(Cursor((1,)), SEARCH, KEY, now)
    assert decode(carrying(token), KEY, 24, now + timedelta(hours=24)) == Cursor((1,))
    with pytest.raises(Gone, match="older than 24 hours") as caught:
        decode(carrying(token), KEY, 24, now + timedelta(hours=24, seconds=1))
    assert caught.value.status == 410
