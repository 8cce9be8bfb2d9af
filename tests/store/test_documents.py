"""What a version keeps when another one takes its place."""

from datetime import UTC, datetime

from fhir_server.store.documents import superseded_row

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_superseded_version_keeps_what_tells_who_may_see_it_and_no_words() -> None:
    live = {
        "_id": "x", "v": 3, "lu": NOW, "o": 1, "m": "PUT", "p": "ann", "ps": ["ann", "bo"], "rf": ["Patient/ann"], "d": NOW, "dh": NOW,
        "k": {"code": {}}, "c": [{}], "s": {"category": ["a|b"], "_tag": ["t|"], "_words": ["x"], "_text": "x", "_content": "y"},
        "j": b"{}", "r": {},
    }  # fmt: skip
    row = superseded_row(live, NOW)
    assert row["_id"] == "x/00000003"
    assert row["s"] == {"category": ["a|b"], "_tag": ["t|"]}
    assert {"p", "ps", "rf", "d", "dh", "j", "r", "su"} <= row.keys()
    assert row.keys().isdisjoint({"k", "c", "v"})
