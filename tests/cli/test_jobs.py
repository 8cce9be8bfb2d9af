"""`fhir-server jobs`, as whoever runs the machine uses it."""

from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]


def test_jobs_are_listed_and_stopped_and_only_failed_ones_are_tried_again(command: Run) -> None:
    none = command("jobs", "list")
    assert (none.code, none.out.strip()) == (0, "There is no such job."), none.err
    queued = command("reindex", "--json")
    job = queued.json["job"]
    listed = command("jobs", "list", "--kind", "reindex", "--json")
    assert [(one["id"], one["state"]) for one in listed.json["jobs"]] == [(job, "queued")]
    assert job in command("jobs", "list").out
    stopped = command("jobs", "cancel", job)
    assert (stopped.code, stopped.out.strip()) == (0, f"Job {job} (reindex) is cancelled."), stopped.err
    refused = command("jobs", "retry", job)
    assert refused.code == 1
    assert "is cancelled. Only a job that has failed is tried again" in " ".join(refused.err.split())
