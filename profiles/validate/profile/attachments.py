"""Attachments: what they say about their data is so (R4 Attachment.size, hash)."""

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from profiles.validate.profile.visit import Visit
from profiles.validate.walk import Place

if TYPE_CHECKING:
    from profiles.validate.profile.validator import ProfileValidator

Json = dict[str, Any]


def check(value: Json, where: Place, visit: Visit, validator: "ProfileValidator") -> None:
    """Check the size and the hash of data that is at hand."""
    data, size, stated = value.get("data"), value.get("size"), value.get("hash")
    if not isinstance(data, str) or (size is None and stated is None):
        return
    try:
        content = base64.b64decode(data)
    except ValueError:
        return  # The check of every write tells that it is no base64.
    if isinstance(size, int) and size != len(content):
        visit.report("attachment-size", where, size=size, found=len(content))
    if isinstance(stated, str) and _sha1(stated) not in {None, hashlib.sha1(content, usedforsecurity=False).digest()}:
        visit.report("attachment-hash", where)


def _sha1(stated: str) -> bytes | None:
    """Return a SHA-1 hash, `None` for what is none: some state another hash, in hexadecimal digits or in base64."""
    try:
        found = base64.b64decode(stated)
    except ValueError:
        return None
    return found if len(found) == hashlib.sha1(usedforsecurity=False).digest_size else None
