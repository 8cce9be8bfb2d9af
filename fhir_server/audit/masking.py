"""What a patient sees of a row: who looked at the own record, when and why; nothing of others, and nothing that is held back.

A row may name other patients, resources that are not released yet, what was looked for, and where the person sat. All that is
taken away before it is rendered, unless the patient did it; what is left is true all the same.
"""

from collections.abc import Collection, Mapping
from typing import Any

from fhir_server.audit.codes import Row
from fhir_server.audit.render import patients

INWARD = ("g", "pol", "q", "tx", "x", "ip", "rq", "cf")
"""What is of the house: grants, policies, queries, addresses and the thread of a request."""


def references(row: Row) -> list[tuple[str, str]]:
    """Return type and id of the instances that a row touches."""
    found = [text.split("/") for text in row.get("e", ())]
    return [(parts[0], parts[1]) for parts in found if len(parts) > 1]


def masked(row: Row, own: Collection[str], visible: Collection[tuple[str, str]], user_id: str) -> Row:
    """Return the row as a patient may see it.

    Args:
        row: The row, which is about at least one of the own patients.
        own: Ids of the patients whose records the reader reaches.
        visible: Those of the touched instances that the reader may see.
        user_id: The reader.
    """
    is_own = bool(user_id) and row.get("u") == user_id
    found: dict[str, Any] = {name: value for name, value in row.items() if is_own or name not in INWARD}
    shown = [one for one in patients(row) if one in own]
    found.pop("ps", None)
    found.pop("p", None)
    if len(shown) == 1:
        found["p"] = shown[0]
    elif shown:
        found["ps"] = shown
    if "e" in row and not is_own:
        kept = [text for text, key in zip(row["e"], references(row), strict=False) if key in visible]
        if len(kept) < len(row["e"]):
            found.pop("rt", None)
        found["e"] = kept
    return {name: value for name, value in found.items() if value not in ([], "")}


def anonymous(row: Row, names: Mapping[str, str]) -> Row:
    """Return the row with the work that the person does in place of the person, unless it is a patient's own act."""
    if row.get("au") == "patient" or not (row.get("u") or row.get("w")):
        return row
    told = names.get(row.get("w", "")) or "A member of staff"
    return {**{name: value for name, value in row.items() if name not in {"u", "w"}}, "who": told}
