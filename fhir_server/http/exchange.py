"""One request and its answer, as far as they are known while the edge works on them."""

import re
from collections.abc import Mapping
from random import getrandbits

from starlette.types import Scope

from fhir_server.http.negotiate import UNDECIDED, Representation
from fhir_server.http.shape import NO_SHAPE, Shape

Header = tuple[bytes, bytes]

# What is echoed into a header and written into logs holds nothing that could break out of either.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}", re.ASCII)


class Exchange:
    """What the edge knows; it starts with what cannot fail, the rest is filled in on the way.

    Attributes:
        method: HTTP method.
        headers: Request headers by lower-case name.
        id: The client's X-Request-Id where it is sane, else a new one.
        shape: Interaction and type, for logs and metrics.
        cors: Response headers for the client's origin.
        representation: How the answer is written.
    """

    __slots__ = ("cors", "headers", "id", "method", "representation", "shape")

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        self.headers: Mapping[str, str] = _headers(scope["headers"])
        wished = self.headers.get("x-request-id")
        self.id = wished if wished and _REQUEST_ID.fullmatch(wished) else f"{getrandbits(64):016x}"
        self.shape: Shape = NO_SHAPE
        self.cors: list[Header] = []
        self.representation: Representation = UNDECIDED


def _headers(raw: list[Header]) -> dict[str, str]:
    """Return header values by lower-case name; one that was sent twice has both values, joined (RFC 9110 5.3).

    Values are ASCII, but for a condition that a client did not percent-encode; that is text in UTF-8, or else in Latin-1.
    """
    try:
        pairs = [(name.decode("latin-1"), value.decode()) for name, value in raw]
    except UnicodeDecodeError:
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]
    found = dict(pairs)
    if len(found) == len(raw):
        return found
    joined: dict[str, str] = {}
    for name, text in pairs:
        joined[name] = f"{joined[name]}, {text}" if name in joined else text
    return joined
