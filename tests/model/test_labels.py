"""Sets of labels: what is added is added once, what is taken away is gone, and nothing else changes."""

from fhir_server.model import labels

VIP = {"system": "urn:t", "code": "vip"}


def test_what_is_there_is_not_added_again_whatever_it_is_called() -> None:
    meta = {"versionId": "3", "tag": [{**VIP, "display": "Important"}]}
    assert labels.added(meta, {"tag": [VIP, {**VIP, "version": "2"}], "profile": ["urn:p", "urn:p"]}) == {
        "versionId": "3",
        "tag": [{**VIP, "display": "Important"}, {**VIP, "version": "2"}],
        "profile": ["urn:p"],
    }


def test_a_set_from_which_all_is_taken_is_gone() -> None:
    meta = {"source": "urn:s", "tag": [VIP], "profile": ["urn:p", "urn:q"]}
    assert labels.removed(meta, {"tag": [{**VIP, "display": "?"}], "profile": ["urn:p", "urn:never"]}) == {
        "source": "urn:s",
        "profile": ["urn:q"],
    }


def test_a_label_of_another_system_is_another_label() -> None:
    assert labels.removed({"security": [VIP]}, {"security": [{"code": "vip"}]}) == {"security": [VIP]}
