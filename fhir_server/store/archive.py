"""The file of a backup: a head in plain text, then frames, the last of which is the manifest.

| part | bytes |
|---|---|
| head | `aquifer backup 1`, a line break, one line of JSON: id, moment, and how frames are encrypted |
| frame | its length in 4 bytes (big-endian), then its content: a letter and a body, compressed (RFC 1950) and, with a passphrase, encrypted |

Frames are `C` (a collection begins: its options and indexes as BSON), `D` (documents, one after the other), `E` (the collection
ends), `S` (a secret of the deployment as JSON) and `M` (the manifest as JSON). Encryption is AES-256-GCM under a key made from the
passphrase by scrypt; the nonce of a frame is its number and the head is authenticated with each, so that frames can be neither
exchanged nor left out. A file without a manifest was cut off and is no backup.
"""

import json
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from secrets import token_bytes
from struct import Struct
from typing import IO, Any, Literal

import bson
from bson.errors import BSONError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from fhir_server.model.errors import Unprocessable

MAGIC = b"aquifer backup 1\n"
LEVEL = 1
"""Of compression: higher ones take several times as long for a tenth less."""

LONGEST = 64 * 2**20
"""Most bytes of a frame, packed or not; documents come in pieces of at most 17 MB."""

HEAD = 4096
COST = {"n": 2**16, "r": 8, "p": 1}
"""Of making the key from the passphrase: 64 MB of memory and a quarter of a second."""

DEAREST = 2**20
"""Highest cost that a file may ask for; the head is not yet known to be ours when it is read."""

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
"""Of a secret."""

SIZE = Struct(">I")
Kind = Literal[b"C", b"D", b"E", b"S", b"M"]
Place = Literal["record", "audit"]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a backup has of a collection.

    Attributes:
        place: The database: that of the record, or that of the trail.
        name: The collection.
        documents: How many.
        bytes: Their size as BSON.
        sha256: Of their BSON one after the other, by `_id`.
    """

    place: Place
    name: str
    documents: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup has.

    Attributes:
        id: Names this backup.
        taken: The moment that it shows, database time (ISO 8601).
        program: Version that took it.
        schema: Version of the form of the record.
        database: Name of the database of the record where it was taken.
        encrypted: Whether a passphrase is needed.
        secrets: Names of the secrets in it.
        collections: What it has of each.
    """

    id: str
    taken: str
    program: str
    schema: int
    database: str
    encrypted: bool
    secrets: tuple[str, ...]
    collections: tuple[Contents, ...]

    @property
    def documents(self) -> int:
        """How many documents there are in all collections."""
        return sum(row.documents for row in self.collections)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> "Manifest":
        """Return the manifest of its JSON."""
        rows = tuple(Contents(**row) for row in value["collections"])
        return cls(**{**value, "secrets": tuple(value["secrets"]), "collections": rows})


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection as it begins in a backup.

    Attributes:
        place: The database.
        name: The collection.
        options: With which it was created.
        indexes: Their definitions, without that of `_id`.
    """

    place: Place
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    indexes: tuple[Mapping[str, Any], ...] = ()


class Writer:
    """Writes a backup to a file that nobody reads before it is whole.

    Args:
        file: Where to.
        backup_id: Names the backup.
        passphrase: To encrypt with; empty to leave it readable.
    """

    def __init__(self, file: IO[bytes], backup_id: str, passphrase: bytes = b"") -> None:
        cipher = {"name": "AES-256-GCM", "kdf": "scrypt", **COST, "salt": b64encode(token_bytes(16)).decode()}
        head = json.dumps({"id": backup_id, "cipher": cipher if passphrase else None}).encode() + b"\n"
        self._file = file
        self._cipher = _Cipher.of(head, passphrase)
        self._hash = sha256()
        self._documents = self._bytes = 0
        file.write(MAGIC + head)

    def begin(self, collection: Collection) -> None:
        """Begin a collection."""
        self._hash, self._documents, self._bytes = sha256(), 0, 0
        row = {
            "place": collection.place,
            "name": collection.name,
            "options": collection.options,
            "indexes": [*collection.indexes],
        }
        self._frame(b"C", bson.encode(row))

    def add(self, documents: list[bytes]) -> None:
        """Add documents of the collection, in the order of `_id`."""
        body = b"".join(documents)
        self._hash.update(body)
        self._documents += len(documents)
        self._bytes += len(body)
        self._frame(b"D", body)

    def end(self, collection: Collection) -> Contents:
        """End the collection and return what it has."""
        self._frame(b"E", b"")
        return Contents(collection.place, collection.name, self._documents, self._bytes, self._hash.hexdigest())

    def secret(self, name: str, value: bytes) -> None:
        """Add a secret."""
        self._frame(b"S", json.dumps({"name": name, "value": b64encode(value).decode()}).encode())

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, which makes the file a backup."""
        self._frame(b"M", json.dumps(manifest.to_json()).encode())

    def _frame(self, kind: Kind, body: bytes) -> None:
        packed = self._cipher.close(zlib.compress(kind + body, LEVEL))
        self._file.write(SIZE.pack(len(packed)))
        self._file.write(packed)


@dataclass(frozen=True, slots=True)
class Documents:
    """Documents of the collection that was begun last, each as BSON."""

    rows: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of the deployment."""

    name: str
    value: bytes = field(repr=False)


Part = Collection | Documents | Contents | Secret | Manifest
"""What a backup is made of: each collection is followed by its documents and, as counted while reading, its contents."""


class Reader:
    """Reads a backup from its beginning.

    Args:
        file: At its beginning.
        passphrase: That it was encrypted with, else empty.

    Raises:
        Unprocessable: It is no backup, or the passphrase is missing or wrong.
    """

    def __init__(self, file: IO[bytes], passphrase: bytes = b"") -> None:
        if file.read(len(MAGIC)) != MAGIC:
            raise Unprocessable("This file is no backup that `fhir-server backup` has made, or one of a newer release.")
        head = file.readline(HEAD)
        try:
            stated = json.loads(head)
            self.id = str(stated["id"])
            self.encrypted = stated["cipher"] is not None
        except (ValueError, KeyError, TypeError):
            raise _damaged("its head cannot be read") from None
        if self.encrypted and not passphrase:
            raise Unprocessable("This backup is encrypted. Name the file with its passphrase: --passphrase-file FILE.")
        self._file = file
        self._cipher = _Cipher.of(head, passphrase if self.encrypted else b"")

    def parts(self) -> Iterator[Part]:
        """Yield what is in it; the manifest comes last, and agrees with all that came before.

        Raises:
            Unprocessable: It is damaged or was cut off.
        """
        seen: list[Contents] = []
        secrets: list[str] = []
        now: Collection | None = None
        digest, count, size = sha256(), 0, 0
        while True:
            kind, body = self._frame()
            if kind == b"C":
                now = _collection(body)
                digest, count, size = sha256(), 0, 0
                yield now
            elif kind == b"D":
                digest.update(body)
                rows = tuple(_split(body))
                count, size = count + len(rows), size + len(body)
                yield Documents(rows)
            elif kind == b"E" and now is not None:
                seen.append(Contents(now.place, now.name, count, size, digest.hexdigest()))
                yield seen[-1]
            elif kind == b"S":
                secret = _secret(body)
                secrets.append(secret.name)
                yield secret
            elif kind == b"M":
                manifest = _manifest(body)
                if manifest.collections != tuple(seen) or manifest.secrets != tuple(secrets) or manifest.id != self.id:
                    raise _damaged("what it holds is not what its manifest says")
                yield manifest
                return
            else:
                raise _damaged("it has a part of an unknown kind")

    def _frame(self) -> tuple[bytes, bytes]:
        length = self._file.read(SIZE.size)
        if len(length) < SIZE.size:
            raise _damaged("it was cut off")
        (size,) = SIZE.unpack(length)
        packed = self._file.read(size) if size <= LONGEST else b""
        if len(packed) < size:
            raise _damaged("it was cut off")
        unpacking = zlib.decompressobj()
        try:
            body = unpacking.decompress(self._cipher.open(packed), LONGEST)
        except zlib.error:
            raise _damaged("a part of it cannot be unpacked") from None
        if not unpacking.eof or not body:
            raise _damaged("a part of it cannot be unpacked")
        return body[:1], body[1:]


def check(file: IO[bytes], passphrase: bytes = b"") -> Manifest:
    """Read a backup to its end and return its manifest.

    Raises:
        Unprocessable: It is no backup, damaged, cut off, or the passphrase is wrong.
    """
    manifest = None
    for part in Reader(file, passphrase).parts():
        if isinstance(part, Manifest):
            manifest = part
    if manifest is None:  # `parts` ends with one or raises
        raise _damaged("it has no manifest")
    return manifest


class _Cipher:
    """Encrypts frames, or leaves them."""

    def __init__(self, key: AESGCM | None, head: bytes) -> None:
        self._key = key
        self._head = sha256(head).digest()
        self._number = 0

    @classmethod
    def of(cls, head: bytes, passphrase: bytes) -> "_Cipher":
        """Return the cipher that a head states."""
        if not passphrase:
            return cls(None, head)
        try:
            stated = json.loads(head)["cipher"]
            if stated["n"] > DEAREST or stated["r"] > COST["r"] or stated["p"] > COST["p"]:
                raise _damaged("its head asks for more than it may")
            kdf = Scrypt(b64decode(stated["salt"]), 32, stated["n"], stated["r"], stated["p"])
        except (ValueError, KeyError, TypeError):
            raise _damaged("its head cannot be read") from None
        return cls(AESGCM(kdf.derive(passphrase)), head)

    def close(self, content: bytes) -> bytes:
        return content if self._key is None else self._key.encrypt(self._next(), content, self._head)

    def open(self, content: bytes) -> bytes:
        if self._key is None:
            return content
        first = not self._number
        try:
            return self._key.decrypt(self._next(), content, self._head)
        except InvalidTag:
            reason = "The passphrase is not that of this backup" if first else "A part of the backup was altered"
            raise Unprocessable(f"{reason}, or the file is damaged.") from None

    def _next(self) -> bytes:
        self._number += 1
        return self._number.to_bytes(12, "big")


def _manifest(body: bytes) -> Manifest:
    try:
        return Manifest.of(json.loads(body))
    except (ValueError, KeyError, TypeError):
        raise _damaged("its manifest cannot be read") from None


def _secret(body: bytes) -> Secret:
    try:
        row = json.loads(body)
        secret = Secret(row["name"], b64decode(row["value"]))
    except (ValueError, KeyError, TypeError):
        raise _damaged("a secret of it cannot be read") from None
    if not NAME.fullmatch(secret.name):  # it becomes that of a file
        raise _damaged("a secret of it has a name that is none")
    return secret


def _collection(body: bytes) -> Collection:
    try:
        row = bson.decode(body)
        return Collection(row["place"], row["name"], row["options"], tuple(row["indexes"]))
    except (BSONError, KeyError):
        raise _damaged("the head of a collection cannot be read") from None


def _split(body: bytes) -> Iterator[bytes]:
    """Yield the documents that stand one after the other in a body."""
    at = 0
    while at < len(body):
        size = int.from_bytes(body[at : at + 4], "little", signed=True)
        if size < 5 or at + size > len(body):
            raise _damaged("a document of it cannot be read")
        yield body[at : at + size]
        at += size


def _damaged(why: str) -> Unprocessable:
    return Unprocessable(f"This backup cannot be used: {why}. Take another one; nothing was restored from it.")
