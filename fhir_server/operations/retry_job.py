"""$retry-job: try a job again that was given up, from where it was (docs/jobs.md)."""

from fhir_server.context import Context
from fhir_server.model.errors import Conflict
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, jobs, parameters
from profiles.definitions.model import OperationDefinition, OperationParameter

DEFINITION = OperationDefinition(
    url=f"{OWN}retry-job",
    code="retry-job",
    resource=(),
    system=True,
    type=False,
    instance=False,
    affects_state=True,
    parameters=(
        OperationParameter("job", "in", 1, 1, "id"),
        OperationParameter("job", "out", 1, 1, "", jobs.PART),
    ),
)


async def retry(ctx: Context) -> FhirResponse:
    """Return 202 with the job, which is due now.

    Raises:
        NotFound: There is no such job; those that have ended are kept for a month.
        Conflict: It was not given up.
    """
    job_id = parameters.read(ctx, DEFINITION)["job"][0]
    job = await ctx.queue.retry(job_id)
    if job is None:
        there = await ctx.queue.get(job_id)
        if there is None:
            raise jobs.none(job_id)
        raise Conflict(f"Job {job_id} is {there.state}. Only a job that has failed is tried again.")
    return jobs.answer(202, [job])


OPERATION = Operation(
    DEFINITION,
    retry,
    letters=("u",),
    methods=("POST",),
    summary="Try a job again that was given up",
    success=((202, "Parameters with the job, which is due now."),),
    whole=True,
)
