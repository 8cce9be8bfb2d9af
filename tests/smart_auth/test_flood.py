"""The audit trail, when somebody causes very many events."""

from datetime import timedelta

from smart_auth.flood import FROM_ALL, FROM_ONE, MOST_NETWORKS, Flood
from smart_auth.memory import MemoryStore
from tests.smart_auth.clock import START
from tests.smart_auth.house import House


async def test_a_flood_of_refusals_leaves_few_rows_that_say_how_many_there_were(house: House) -> None:
    assert isinstance(house.store, MemoryStore)
    for _ in range(1_100):
        await house.token({"grant_type": "nonsense"})
    rows = [event for event in house.store.events if event.kind == "token-refused"]
    assert len(rows) == FROM_ONE + 6
    assert "number" not in rows[FROM_ONE - 1].detail
    assert [row.detail["number"] for row in rows[FROM_ONE:]] == ["32", "64", "128", "256", "512", "1024"]


def test_after_a_minute_events_are_written_again() -> None:
    flood = Flood()
    for _ in range(FROM_ONE + 1):
        last = flood.number("sign-in-failed", "192.0.2.1", START)
    assert last == 0
    assert flood.number("sign-in-failed", "192.0.2.1", START + timedelta(minutes=1)) == 1


def test_a_flood_from_many_networks_is_one_flood() -> None:
    flood = Flood()
    addresses = [f"2001:db8:{number // 65536:x}:{number % 65536:x}::1" for number in range(3 * MOST_NETWORKS)]
    written = [number for address in addresses if (number := flood.number("token-refused", address, START))]
    assert len(written) == FROM_ALL + 5
    assert written[-1] == 16_384


def test_the_networks_of_others_and_other_kinds_are_not_touched() -> None:
    flood = Flood()
    for _ in range(100):
        flood.number("token-refused", "192.0.2.1", START)
    assert flood.number("token-refused", "192.0.2.2", START) == 1
    assert flood.number("sign-in-failed", "192.0.2.1", START) == 1


def test_what_takes_proof_to_cause_is_always_written() -> None:
    flood = Flood()
    assert all(flood.number("token-issued", "192.0.2.1", START) == 1 for _ in range(1_000))
