"""Resources that a load test needs before it starts, sent as transactions."""

import itertools
import json
import urllib.error
import urllib.request
from collections.abc import Iterable
from typing import Any

from loadtests.load.client import headers

Json = dict[str, Any]

AT_ONCE = 500


def transaction(resources: Iterable[Json]) -> Json:
    """Return a transaction that stores resources under their own ids."""
    entry = [
        {"resource": row, "request": {"method": "PUT", "url": f"{row['resourceType']}/{row['id']}"}}
        for row in resources
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entry}


def post(host: str, resources: Iterable[Json] | bytes) -> None:
    """Store resources under their own ids, or a Bundle that is given as bytes.

    Raises:
        SystemExit: The server does not take them.
    """
    if isinstance(resources, bytes):
        _send(host, resources)
        return
    waiting = iter(resources)
    while rows := list(itertools.islice(waiting, AT_ONCE)):
        _send(host, json.dumps(transaction(rows), default=float).encode())


def _send(host: str, body: bytes) -> None:
    request = urllib.request.Request(f"{host.rstrip('/')}/fhir", body, headers())
    try:
        urllib.request.urlopen(request, timeout=300).close()
    except urllib.error.HTTPError as error:
        raise SystemExit(f"seeding failed with {error.code}: {error.read(500).decode(errors='replace')}") from None
    except OSError as error:
        raise SystemExit(f"{host} cannot be reached: {error}") from None
