"""How long files of jobs are kept, and their removal."""

from datetime import datetime, timedelta

from fhir_server.model.files import Files
from fhir_server.model.queue import JobRecord, Queue

FOLDERS = ("export", "import", "bulk-submit")
"""Kinds of jobs that make files, each in a folder of its own with one for each job."""

GRACE = timedelta(hours=1)
"""For so long a file stays after it can no longer be asked for: somebody may be reading it."""


async def sweep(files: Files, queue: Queue, hours: float, now: datetime) -> int:
    """Remove the files of jobs that are over, and return how many.

    Args:
        files: Where they are.
        queue: Where the jobs are.
        hours: How long files are given out.
        now: The time.

    Raises:
        Unavailable: The files or the jobs cannot be reached.
    """
    newest: dict[str, datetime] = {}
    for folder in FOLDERS:
        async for one in files.list(f"{folder}/"):
            job = "/".join(one.name.split("/")[:2])
            newest[job] = max(one.modified, newest.get(job, one.modified))
    removed = 0
    for folder, written in newest.items():
        record = await queue.get(folder.partition("/")[2])
        if now >= over(record, written, hours):
            removed += await files.remove(f"{folder}/")
    return removed


def over(record: JobRecord | None, written: datetime, hours: float) -> datetime:
    """Return from when on nobody needs the files of a job.

    Args:
        record: The job; `None` where there is none any more.
        written: When the last of them was written.
        hours: How long files are given out.
    """
    if record is None:
        return written + GRACE
    if record.is_live or record.ended is None:
        return datetime.max.replace(tzinfo=written.tzinfo)
    if record.state == "cancelled":
        return record.ended + GRACE
    # What failed may be tried again, and then goes on with the files that there are.
    return record.ended + timedelta(hours=hours) + GRACE
