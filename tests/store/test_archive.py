"""A file that is not whole, was altered, or is of another passphrase is no backup."""

from io import BytesIO
from itertools import pairwise

import bson
import pytest

from fhir_server.model.errors import Unprocessable
from fhir_server.store.archive import MAGIC, Collection, Manifest, Writer, check

PATIENTS = Collection("record", "Patient", {}, ({"name": "updated", "key": {"lu": -1}},))
EVENTS = Collection("audit", "events")
SECRET = b"correct horse battery"


def written(passphrase: bytes = b"") -> tuple[bytes, Manifest]:
    """Return a backup of two collections and a secret."""
    file = BytesIO()
    writer = Writer(file, "b1", passphrase)
    writer.secret("audit.pem", b"key")
    contents = []
    for collection, count in ((PATIENTS, 300), (EVENTS, 0)):
        writer.begin(collection)
        for start in range(0, count, 100):
            writer.add([bson.encode({"_id": number, "r": "x" * number}) for number in range(start, start + 100)])
        contents.append(writer.end(collection))
    manifest = Manifest("b1", "2026-01-01T00:00:00Z", "1", 1, "fhir", bool(passphrase), ("audit.pem",), tuple(contents))
    writer.finish(manifest)
    return file.getvalue(), manifest


@pytest.mark.parametrize("passphrase", [b"", SECRET])
def test_what_was_written_is_read_again(passphrase: bytes) -> None:
    data, manifest = written(passphrase)
    assert check(BytesIO(data), passphrase) == manifest
    assert manifest.documents == 300
    assert (b"audit.pem" in data) is False


@pytest.mark.parametrize("passphrase", [b"", SECRET])
def test_a_file_that_was_cut_off_anywhere_is_none(passphrase: bytes) -> None:
    data, _ = written(passphrase)
    places = [0, len(MAGIC) - 1, len(MAGIC), len(MAGIC) + 9, len(data) // 2, len(data) - 1]
    if not passphrase:  # where parts end, too
        at = data.index(b"\n", len(MAGIC)) + 1
        while at < len(data):
            places.append(at)
            at += 4 + int.from_bytes(data[at : at + 4], "big")
    for place in places:
        with pytest.raises(Unprocessable):
            check(BytesIO(data[:place]), passphrase)


def test_an_altered_byte_is_found() -> None:
    data, manifest = written(SECRET)
    start = data.index(b"\n", len(MAGIC))
    for place in range(start - 3, len(data), (len(data) - start) // 6):  # each asks for a key, which is slow on purpose
        altered = bytearray(data)
        altered[place] ^= 1
        with pytest.raises(Unprocessable):
            assert check(BytesIO(bytes(altered)), SECRET) != manifest


def test_parts_that_changed_places_are_found() -> None:
    data, _ = written(SECRET)
    ends = [data.index(b"\n", len(MAGIC)) + 1]
    while ends[-1] < len(data):
        ends.append(ends[-1] + 4 + int.from_bytes(data[ends[-1] : ends[-1] + 4], "big"))
    frames = [data[start:end] for start, end in pairwise(ends)]
    frames[1], frames[2] = frames[2], frames[1]
    with pytest.raises(Unprocessable, match="altered"):
        check(BytesIO(data[: ends[0]] + b"".join(frames)), SECRET)


def test_the_passphrase_is_asked_for_and_a_wrong_one_refused() -> None:
    data, _ = written(SECRET)
    with pytest.raises(Unprocessable, match="--passphrase-file"):
        check(BytesIO(data))
    with pytest.raises(Unprocessable, match="not that of this backup"):
        check(BytesIO(data), b"wrong horse battery")


def test_a_file_may_not_ask_for_endless_work() -> None:
    data, _ = written(SECRET)
    with pytest.raises(Unprocessable, match="more than it may"):
        check(BytesIO(data.replace(b'"n": 65536', b'"n": 1099511627776')), SECRET)


def test_a_secret_cannot_be_named_out_of_its_folder() -> None:
    for name in ("../fhir.toml", "..", "", "/etc/passwd"):
        file = BytesIO()
        writer = Writer(file, "b1")
        writer.secret(name, b"x")
        with pytest.raises(Unprocessable, match="name that is none"):
            check(BytesIO(file.getvalue()))
