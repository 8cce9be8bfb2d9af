"""Ids are in the order of time, so that what was made since a moment is found by its id."""

import uuid
from datetime import UTC, datetime, timedelta

from fhir_server.model import ids


def test_ids_that_are_made_from_a_moment_on_do_not_come_before_it() -> None:
    now = datetime.now(UTC)
    made = ids.new()
    assert ids.valid(made)
    assert ids.least(now - timedelta(seconds=1)) < made < ids.least(now + timedelta(minutes=1))
    moments = [now + timedelta(days=days) for days in (-40_000, -1, 0, 1, 400)]
    assert sorted(map(ids.least, moments)) == [*map(ids.least, moments)]


def test_ids_are_in_the_order_in_which_they_were_made() -> None:
    made = [ids.new() for _ in range(20_000)]
    assert made == sorted(set(made))
    assert len({one[:13] for one in made}) > 1
    for one in made[::1000]:
        read = uuid.UUID(one)
        assert (str(read), read.version, read.variant) == (one, 7, uuid.RFC_4122)
    assert len({one[-8:] for one in made}) > 19_000  # nobody counts them
