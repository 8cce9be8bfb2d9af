"""The client that all load tests share: it speaks FHIR, bears a token if there is one, and is watched.

`LOAD_TOKEN` gives the access token; `LOAD_SEEN` names the file that tells at the end what was seen.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from locust import FastHttpUser, events
from locust.env import Environment

from loadtests.load.bounds import refuse
from loadtests.load.seen import Watching

Json = dict[str, Any]

WATCHING = Watching()
MEDIA = "application/fhir+json"


def headers() -> dict[str, str]:
    """Return the headers of every request."""
    token = os.environ.get("LOAD_TOKEN", "")
    return {"Content-Type": MEDIA, "Accept": MEDIA} | ({"Authorization": f"Bearer {token}"} if token else {})


class Client(FastHttpUser):
    """One client of the FHIR server that does one thing after the other without a pause."""

    abstract = True
    default_headers = headers()

    def sent(self, method: str, path: str, name: str, body: Any = None, **more: str) -> tuple[int, Json]:
        """Return status and body of an answer.

        Args:
            method: Of HTTP.
            path: Below the base, or the whole URL.
            name: What the request is called in the tables.
            body: A resource, or the JSON of one.
            more: Headers, with "_" for "-".
        """
        data = body if body is None or isinstance(body, str) else json.dumps(body)
        extra = {key.replace("_", "-"): value for key, value in more.items()}
        url = path if path.startswith("http") else f"/fhir/{path}"
        answer = self.client.request(method, url, name=name, data=data, headers=extra)
        return int(answer.status_code), json.loads(answer.content) if answer.content else {}


def _guard(environment: Environment, **_: Any) -> None:
    why = refuse(environment.host or "")
    if why:
        sys.exit(why)


def _answered(name: str, response_time: float, exception: Any, **_: Any) -> None:
    WATCHING.answered(name, time.perf_counter(), response_time, exception)


def _tell(environment: Environment, **_: Any) -> None:
    seen = WATCHING.seen()
    if path := os.environ.get("LOAD_SEEN"):
        seen.write(Path(path))
    if seen.broken:
        print("\n".join(seen.broken), file=sys.stderr)
        environment.process_exit_code = 1


events.init.add_listener(_guard)  # type: ignore[no-untyped-call]
events.request.add_listener(_answered)  # type: ignore[no-untyped-call]
events.quitting.add_listener(_tell)  # type: ignore[no-untyped-call]
