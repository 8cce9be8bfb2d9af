"""Files of NDJSON: their lines are stored in batches, and those again that were refused, as long as that helps."""

from collections.abc import AsyncIterator, Container
from dataclasses import dataclass, field
from pathlib import Path

from fhir_server.cli.ledger import Ledger
from fhir_server.cli.posting import Refusal, Tally, reason
from fhir_server.cli.sources import Source
from fhir_server.loading import course
from fhir_server.loading.course import Hands
from fhir_server.loading.lines import PIECE, Batch, batches, unpacked
from fhir_server.loading.work import Done, Refused
from fhir_server.model.errors import BadRequest, TooLarge

MOST_BYTES = 2**50
"""There is no limit for the files of who may do everything anyway."""


@dataclass(slots=True)
class Stream:
    """A file under way.

    Attributes:
        source: The file.
        content: What names its content.
        refused: What is refused until now, by line; `None` where an earlier run did not keep the reason.
        broken: Why its end could not be read.
    """

    source: Source
    content: str
    refused: dict[int, Refused | None] = field(default_factory=dict)
    broken: str = ""

    @property
    def hopeful(self) -> set[int]:
        """Lines that may be stored once others are."""
        return {line for line, one in self.refused.items() if one is None or one.is_hopeful}

    def refusals(self) -> list[Refusal]:
        """Return what is refused."""
        found = [
            Refusal(self.source.name, f"line {one.place}", one.status, reason(one.outcome))
            for _, one in sorted(self.refused.items())
            if one is not None
        ]
        return [*found, Refusal(self.source.name, "", 400, self.broken)] if self.broken else found


async def send(hands: Hands, ledger: Ledger, tally: Tally, stream: Stream) -> None:
    """Store what is not stored yet of a file: what was refused, and what comes after the last line that was sent."""
    known = ledger.known(stream.content)
    stream.refused = dict.fromkeys(known.lines)
    await again(hands, ledger, tally, stream)
    if not known.finished and await _course(hands, ledger, tally, stream, skip=known.line):
        ledger.finished(stream.content)


async def again(hands: Hands, ledger: Ledger, tally: Tally, stream: Stream) -> None:
    """Store of a file what was refused and may be stored by now."""
    if lines := stream.hopeful:
        await _course(hands, ledger, tally, stream, skip=min(lines) - 1, only=lines)


async def _course(
    hands: Hands, ledger: Ledger, tally: Tally, stream: Stream, *, skip: int, only: Container[int] | None = None
) -> bool:
    """Store lines of a file; return whether it could be read to its end."""

    async def note(batch: Batch, done: Done) -> None:
        tally.created.update(done.created)
        tally.updated.update(done.updated)
        tally.unchanged += done.unchanged
        refused = {one.place: one for one in done.refused}
        mended = [
            line
            for line in range(batch.first, batch.after + 1)
            if line in stream.refused and line not in refused and (only is None or line in only)
        ]
        for line in mended:
            del stream.refused[line]
        stream.refused.update(refused)
        ledger.reached(stream.content, batch.after, refused.keys(), mended)

    try:
        await course.run(
            hands, stream.content, batches(unpacked(_pieces(stream.source.path), MOST_BYTES), skip), note, only
        )
    except (BadRequest, TooLarge, OSError) as error:
        stream.broken = str(error)
        return False
    return True


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
