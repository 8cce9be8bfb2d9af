"""Two houses that differ by what a caller may not see: in one it is there, in the other it never was.

Whatever the caller asks must be answered alike by both. What differs between any two answers, such as the time, ids that were
made just now and tokens of paging links, is taken out first; everything else counts: status, headers, bodies, order, totals.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx

from fhir_server.access.scope_filter import Unrestricted
from fhir_server.repository import Repository
from fhir_server.search.results import CURSOR
from fhir_server.settings import Record
from tests.access.house import Caller, House, Json, opened
from tests.access.record import resource

SECRET = "geheim"
"""A word that only hidden resources contain."""

NAMED = {"X-Request-Id": "probe"}
"""The trail tells the caller by which of the own requests it was asked; in both houses it tells the same."""

AT_ONCE = 6
MOST = int(os.environ.get("LEAK_PROBES", "15"))
"""Most probes of one row of the table for one principal in one run; 0 for all. Each principal is given others."""

Entry = Callable[[House], Awaitable[Caller]]
"""Lets a principal into a house."""

_PASSING = frozenset({"date", "x-request-id", "content-length"})
_MADE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_ANY_UUID = re.compile(r"urn:uuid:[0-9a-f-]{36}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_OF_THE_HOUSE = re.compile(r'c-[0-9a-f]{32}|urn:aquifer:grant:[^"]+|~[0-9a-f]{16}|(?<="query":)"[^"]*"')
"""Ids of apps and grants, and what the trail hashes with the key of the house."""

_TOKEN = re.compile(rf"{CURSOR}=[^\"&\s]+")


@dataclass(frozen=True)
class Step:
    """Something that is done to a record before anybody asks.

    Attributes:
        facility: Organization that keeps it.
        resource: What is stored.
        hidden: Whether it is missing in the twin.
        instead: What the twin stores in its place: as hidden as the original, so that only the content differs.
        deleted: Whether it is deleted right after.
    """

    facility: str
    resource: Json
    hidden: bool = False
    instead: Json | None = None
    deleted: bool = False


@dataclass(frozen=True)
class Probe:
    """One request.

    Attributes:
        method: HTTP method.
        path: Below the base, with its query.
        body: JSON, `None` for none.
        headers: More headers.
        form: Fields of a form, instead of a body.
        follows: Whether the following pages are asked for as well.
    """

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    follows: bool = False

    @property
    def stands_alone(self) -> bool:
        """Whether the answer to the next one may depend on it, or its own on those beside it."""
        return self.of_the_trail or (self.method not in {"GET", "HEAD"} and not self.path.endswith("_search"))

    @property
    def of_the_trail(self) -> bool:
        """Whether it asks for events, of which each house has its own."""
        return self.path.startswith("AuditEvent")

    def __str__(self) -> str:
        content = self.body if self.body is not None else dict(self.form) or None
        said = f" {content}"[:300] if content is not None else ""
        return f"{self.method} {self.path}{said} {dict(self.headers) or ''}"


@dataclass(frozen=True)
class Twins:
    """The pair, and who asks both.

    Attributes:
        whole: The house with what is hidden.
        bare: The house without.
        steps: What was done.
        callers: The same principal in both.
        name: Which one.
    """

    whole: House
    bare: House
    steps: tuple[Step, ...]
    callers: tuple[Caller, Caller]
    name: str

    @property
    def hidden(self) -> list[Json]:
        """What only the first one has."""
        return [step.resource for step in self.steps if step.hidden]

    @property
    def visible(self) -> list[Json]:
        """What both have."""
        return [step.resource for step in self.steps if not step.hidden and step.instead is None]

    async def differences(self, probes: Iterable[Probe]) -> list[str]:
        """Return a line for each probe that tells the houses apart, or whose answer tells the secret word.

        Of many probes a part is asked; `LEAK_PROBES=0` asks all.
        """
        found = []
        for group in _grouped(self.drawn([*probes])):
            for lines in await asyncio.gather(*map(self._told_apart, group)):
                found += lines
        return found

    def drawn(self, probes: list[Probe]) -> list[Probe]:
        """Return some of the probes, in their order."""
        if not 0 < MOST < len(probes):
            return probes
        chosen = Random(f"{self.name} {len(probes)}").sample(range(len(probes)), MOST)
        return [probes[place] for place in sorted(chosen)]

    async def _told_apart(self, probe: Probe) -> list[str]:
        one, other = await asyncio.gather(*(self._asked(caller, probe) for caller in self.callers))
        if one != other:
            return [f"{probe}\n    with:    {_first(one, other)}\n    without: {_first(other, one)}"]
        tells = SECRET in str(one) and SECRET not in f"{probe.path}{probe.body}{probe.form}{probe.headers}"
        return [f"{probe}\n    tells:   {one}"] if tells else []

    async def _asked(self, caller: Caller, probe: Probe) -> list[str]:
        """Return an answer as lines, with those of the following pages."""
        answer = await sent(caller, probe)
        lines = told(answer)
        pages = 0
        while probe.follows and answer.status_code == 200 and pages < 30:
            links = {one["relation"]: one["url"] for one in answer.json().get("link", [])}
            if "next" not in links:
                break
            answer = await caller.get(links["next"])
            lines += told(answer)
            pages += 1
        return sorted(lines) if probe.of_the_trail else lines


def _grouped(probes: Iterable[Probe]) -> Iterator[list[Probe]]:
    """Yield probes that may be asked at the same time: some that only ask, or one that writes."""
    group: list[Probe] = []
    for probe in probes:
        if probe.stands_alone:
            yield from ([group] if group else [])
            yield [probe]
            group = []
        else:
            group.append(probe)
            if len(group) == AT_ONCE:
                yield group
                group = []
    yield from ([group] if group else [])


async def sent(caller: Caller, probe: Probe) -> httpx.Response:
    """Return the answer to a probe."""
    if not probe.form:
        return await caller.ask(probe.method, probe.path, probe.body, {**NAMED, **probe.headers})
    headers = {"Authorization": f"Bearer {caller.token}", **NAMED, **probe.headers}
    return await caller.client.request(probe.method, f"/fhir/{probe.path}", data=dict(probe.form), headers=headers)


def told(answer: httpx.Response) -> list[str]:
    """Return what an answer says, without what differs between any two answers."""
    headers = [f"{name}: {value}" for name, value in sorted(answer.headers.items()) if name not in _PASSING]
    lines = [str(answer.status_code), *headers, *answer.text.replace("},{", "},\n{").split("\n")]
    return [_settled(line) for line in lines]


def _settled(text: str) -> str:
    text = _MADE.sub("<made>", _ANY_UUID.sub("<made>", _TOKEN.sub("<cursor>", _OF_THE_HOUSE.sub("<own>", text))))
    text = re.sub(r"last-modified: .*", "last-modified: <now>", text)
    return _MOMENT.sub(_moment, text)


def _moment(found: re.Match[str]) -> str:
    when = datetime.fromisoformat(found[0])
    return "<now>" if abs(datetime.now(UTC) - when) < timedelta(hours=12) else found[0]


def _first(one: list[str], other: list[str]) -> str:
    """Return the first line that differs, with a few before it."""
    place = next(
        (n for n, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), min(len(one), len(other))
    )
    lines = [(" | ".join(rows[max(1, place) : place + 2])) for rows in (one, other)]
    start = next((n for n, pair in enumerate(zip(*lines, strict=False)) if pair[0] != pair[1]), 0)
    start = max(0, start - 120)
    return f"{one[0]} | {lines[0][start : start + 500]}"


@asynccontextmanager
async def twins(data_dir: Path, steps: Iterable[Step], **who: Entry) -> AsyncIterator[dict[str, Twins]]:
    """Yield two houses in which the steps were done, for each principal with the holder of a token in both.

    Args:
        data_dir: Of the database.
        steps: What is done, in order.
        who: Name of a principal to what lets it in.
    """
    done = tuple(steps)
    async with opened(data_dir) as whole, opened(data_dir) as bare:
        await asyncio.gather(*(_prepared(house, done, bare=house is bare) for house in (whole, bare)))
        for house in (whole, bare):
            await _look(
                house, "Observation/ann-lab", "Condition/ann-condition", "Patient/ann", "Condition?subject=Patient/ann"
            )
        pairs = {}
        for name, enter in who.items():
            callers = [await enter(house) for house in (whole, bare)]
            pairs[name] = Twins(whole, bare, done, (callers[0], callers[1]), name)
        yield pairs


async def _prepared(house: House, steps: Iterable[Step], *, bare: bool) -> None:
    """Do the steps; where there is something hidden let somebody look at it, so that the trail has something to hide."""
    for step in steps:
        await _do(house, step, bare=bare)
    if bare:
        await house.service.store._collections.ensure({step.resource["resourceType"] for step in steps})
    else:
        category = "Observation?category=vital-signs&subject=Patient/bo"
        await _look(house, category, "Observation/bo-vital", "Patient/bo", "Patient/bo/_history/1")


async def _look(house: House, *paths: str) -> None:
    somebody = await house.as_("system/*.rs")
    for path in paths:
        assert (await sent(somebody, Probe("GET", path))).status_code == 200


async def _do(house: House, step: Step, *, bare: bool) -> None:
    content = step.instead if bare and step.instead else step.resource
    if bare and step.hidden:
        return
    repository = _unbound(house, step.facility)
    kind, name = content["resourceType"], content["id"]
    await repository.update(kind, name, content)
    if step.deleted:
        await repository.delete(kind, name)


def _unbound(house: House, facility: str) -> Repository:
    """Return a repository that lets references lead nowhere, as those do in the twin that lead to what is hidden."""
    scope = Unrestricted("the test's own work", facility)
    return replace(house.service.repository, scope=scope, rules=Record(references="off"))


def organization(name: str) -> Json:
    """Return a facility."""
    level = {"coding": [{"system": "https://aquifer.example/fhir/CodeSystem/org-level", "code": "facility"}]}
    return resource("Organization", name, active=True, name=name.title(), type=[level])
