"""The manifest of an export: when it was true, and which files there are (Bulk Data Access, 2.1.3: complete status)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import quote

from fhir_server.bulk.task import Output, Task
from fhir_server.model import instant


def manifest(task: Task, job_id: str, moment: datetime, outputs: Iterable[Output], *, token: bool) -> dict[str, Any]:
    """Return the manifest.

    Args:
        task: What was asked for.
        job_id: The job.
        moment: Of which the files are true.
        outputs: The files.
        token: Whether files are given to those only who show an access token.
    """
    files: dict[str, list[dict[str, Any]]] = {"output": [], "deleted": [], "error": []}
    for one in outputs:
        row: dict[str, Any] = {"type": one.type} if one.type else {}
        row |= {"url": f"{task.base}/$export-file?job={job_id}&name={quote(one.name)}"}
        files[one.kind].append({**row, "count": one.count, "fileSize": one.size})
    organized = {"outputOrganizedBy": "Patient"} if task.by_patient else {}
    return {
        "transactionTime": instant.text(moment),
        "request": task.request,
        "requiresAccessToken": token,
        **organized,
        **files,
        # STU4 renames the member; clients of either find it.
        "outcome": files["error"],
    }
