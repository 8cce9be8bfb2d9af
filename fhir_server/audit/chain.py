"""Links, seals and their hashes: what they are made of, so that whoever has the rows can compute them anew (docs/audit.md).

Every process has a lane of its own. A link stands for the rows that were stored since the one before it: it holds their ids, the
SHA-256 of their bytes, and the hash of the link before. A seal holds the head of every lane that has grown, the Merkle root
(RFC 6962 2.1) of all new links, and the hash of the seal before; it is signed.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

Row = Mapping[str, Any]

START = bytes(32)
"""Stands for what is before the first."""

ID, SUM = 16, 32
"""Bytes of a packed id and of a hash."""

FIRST, LAST = 13, 49
"""Where the id stands in the bytes of a row: behind its length, and behind type, name and length of the first field."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def link_id(lane: str, number: int) -> str:
    """Return the `_id` of a link; those of a lane sort by their numbers."""
    return f"{lane}/{number:010d}"


def place(link_id: str) -> tuple[str, int]:
    """Return lane and number of a link."""
    lane, _, number = link_id.rpartition("/")
    return lane, int(number)


def link(lane: str, number: int, moment: datetime, before: bytes, rows: Sequence[bytes]) -> dict[str, Any]:
    """Return the link that stands for some rows.

    Args:
        lane: The lane.
        number: Its number in the lane, from 1.
        moment: Now, in whole milliseconds.
        before: Hash of the link before, `START` for the first.
        rows: The rows, as the database has them.
    """
    made: dict[str, Any] = {
        "_id": link_id(lane, number),
        "t": moment,
        "p": before,
        "i": b"".join([bytes.fromhex(row[FIRST:LAST].replace(b"-", b"").decode()) for row in rows]),
        "s": b"".join([sha256(row).digest() for row in rows]),
    }
    return {**made, "h": link_hash(made)}


def link_hash(row: Row) -> bytes:
    """Return what the hash of a link must be."""
    ids, sums = bytes(row["i"]), bytes(row["s"])
    head = f"aquifer-link-1\n{row['_id']}\n{_milliseconds(row['t'])}\n{len(ids)} {len(sums)}\n"
    return sha256(b"".join((head.encode(), row["p"], ids, sums))).digest()


def seal(  # noqa: PLR0917 - the fields of a seal
    number: int, moment: datetime, until: datetime, heads: Sequence[Row], root: bytes, before: bytes
) -> dict[str, Any]:
    """Return a seal without its signature.

    Args:
        number: Its number, from 1.
        moment: Now, in whole milliseconds.
        until: Every row up to this moment is in a link.
        heads: `l`, `n` and `h` of the last link of each lane that has grown.
        root: Merkle root of the links that no seal before covers.
        before: Hash of the seal before, `START` for the first.
    """
    made: dict[str, Any] = {
        "_id": f"{number:010d}",
        "t": moment,
        "w": until,
        "heads": [*heads],
        "root": root,
        "p": before,
    }
    return {**made, "h": seal_hash(made)}


def seal_hash(row: Row) -> bytes:
    """Return what the hash of a seal must be."""
    heads = "".join(f"{head['l']} {head['n']} {bytes(head['h']).hex()}\n" for head in row["heads"])
    times = f"{_milliseconds(row['t'])} {_milliseconds(row['w'])}"
    text = f"aquifer-seal-1\n{row['_id']}\n{times}\n{heads}{bytes(row['root']).hex()}\n{bytes(row['p']).hex()}\n"
    return sha256(text.encode()).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over the hashes of links, in the order of their lanes and numbers (RFC 6962 2.1)."""
    level = [sha256(b"\0" + leaf).digest() for leaf in leaves]
    if not level:
        return sha256().digest()
    while len(level) > 1:
        pairs = [sha256(b"\1" + level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def named(ids: bytes) -> Iterator[str]:
    """Yield packed ids as they are written."""
    for at in range(0, len(ids), ID):
        text = ids[at : at + ID].hex()
        yield f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def first_id(moment: datetime) -> str:
    """Return an id that sorts before all that were made at this moment or later."""
    text = f"{_milliseconds(moment) << 80:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _milliseconds(moment: datetime) -> int:
    return (moment.astimezone(UTC) - EPOCH) // MILLISECOND
