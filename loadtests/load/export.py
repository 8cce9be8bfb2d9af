"""The CRUD mix with an export of everything in the background, for Locust.

One client asks for `$export` again and again, waits as long as it is told to, reads every file, and has the export removed. Its
requests are told apart from those of the others, whose latencies show what an export costs them.
"""

import json
import time
from typing import Any

from locust import task
from locust.contrib.fasthttp import FastResponse

from loadtests.load.client import WATCHING, Client
from loadtests.load.crud import Clinic

__all__ = ["Clinic", "Exporter"]

LONGEST = 300
NDJSON = "application/fhir+ndjson"


class Exporter(Client):
    """The one client that exports."""

    fixed_count = 1

    @task
    def export(self) -> None:
        """Export everything once."""
        answer = self.client.get("/fhir/$export", name="$export", headers={"Prefer": "respond-async"})
        if answer.status_code != 202:
            time.sleep(1)
            return
        status = header(answer, "Content-Location")
        manifest = self.finished(status)
        for file in manifest.get("output", ()):
            got = self.client.get(file["url"], name="$export-file", headers={"Accept": NDJSON})
            lines = (got.content or b"").count(b"\n")
            WATCHING.counted["exported"] += lines
            if got.status_code == 200 and lines != file.get("count", lines):
                WATCHING.broken.append(f"{file['url']} has {lines} lines, and its manifest says {file['count']}.")
        WATCHING.counted["exports"] += bool(manifest)
        self.client.delete(status, name="delete the export")

    def finished(self, status: str) -> dict[str, Any]:
        """Return the manifest, empty where the export failed or takes too long."""
        start = time.monotonic()
        while time.monotonic() - start < LONGEST:
            answer = self.client.get(status, name="$export-status", headers={"Accept": "application/json"})
            if answer.status_code != 202:
                return dict(json.loads(answer.content or b"{}")) if answer.status_code == 200 else {}
            time.sleep(min(float(header(answer, "Retry-After") or 1), 5))
        return {}


def header(answer: FastResponse, name: str) -> str:
    """Return a header of an answer, empty where it has none."""
    return str(answer.headers.get(name, "")) if answer.headers else ""
