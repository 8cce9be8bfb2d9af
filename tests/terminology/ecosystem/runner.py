"""The official cases, sent to a server."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.terminology.ecosystem.cases import Case, Suite
from tests.terminology.ecosystem.likeness import Likeness, status_like
from tests.terminology.ecosystem.releases import down, down_parameters, up

Json = dict[str, Any]

POST = {
    "expand": "ValueSet/$expand",
    "validate-code": "ValueSet/$validate-code",
    "cs-validate-code": "CodeSystem/$validate-code",
    "lookup": "CodeSystem/$lookup",
    "translate": "ConceptMap/$translate",
    "batch-validate": "ValueSet/$batch-validate-code",
    "compare": "ValueSet/$related",
}
GET = {"term-caps": "metadata?mode=terminology", "metadata": "metadata"}


@dataclass(frozen=True, slots=True)
class Result:
    """How a case went.

    Attributes:
        case: Which.
        difference: What is not as it should be, empty where it passes.
        sent: The request.
        answer: Of the server, as R5 words it.
    """

    case: Case
    difference: str
    sent: Json | None
    answer: Json


class Runner:
    """Sends cases to a server.

    Args:
        client: Of the server.
        modes: What the server claims to be.
        stored: Whether the resources of a suite are stored by PUT; else every request brings them as `tx-resource`.
    """

    def __init__(self, client: httpx.AsyncClient, modes: frozenset[str], *, stored: bool) -> None:
        self._client, self._modes, self._stored = client, modes, stored
        self._likeness = Likeness(modes)

    async def results(self, suite: Suite, only: str = "", step: int = 1) -> list[Result]:
        """Run the cases of a suite.

        Args:
            suite: Which.
            only: Name of the only case that is run, empty for all.
            step: Of how many cases one is run.
        """
        cases = [case for case in suite.cases[::step] if only in {"", case.name}]
        if not cases:
            return []
        async with self._ready(suite) as brought:
            return [await self._result(case, brought) for case in cases]

    @asynccontextmanager
    async def _ready(self, suite: Suite) -> AsyncIterator[list[Json]]:
        """Store the resources of a suite while it runs; yield those that requests have to bring.

        Some are broken on purpose, so that no server would store them.
        """
        stored, brought = [], []
        for name, resource in suite.resources.items():
            place = f"{resource['resourceType']}/{re.sub('[^A-Za-z0-9.-]', '-', name.removesuffix('.json'))[-64:]}"
            changed = {**down(resource), "id": place.partition("/")[2]}
            answer = await self._client.put(place, json=changed) if self._stored else None
            if answer is not None and answer.is_success:
                stored.append(place)
            else:
                brought.append(down(resource))
        yield brought
        for place in stored:
            (await self._client.delete(place)).raise_for_status()

    async def _result(self, case: Case, brought: list[Json]) -> Result:
        if case.operation in GET:
            return self._judged(case, await self._client.get(GET[case.operation], headers=dict(case.headers)), None)
        if case.request is None:
            return Result(case, "its request is not in the archive", None, {})
        sent = down_parameters(case.request)
        rows = [*sent["parameter"], *({"name": "tx-resource", "resource": one} for one in brought)]
        response = await self._client.post(
            POST[case.operation], json={**sent, "parameter": rows}, headers=dict(case.headers)
        )
        return self._judged(case, response, sent)

    def _judged(self, case: Case, response: httpx.Response, sent: Json | None) -> Result:
        try:
            answer = up(json.loads(response.text))
        except ValueError:
            return Result(case, f"{response.status_code} {response.text[:200]}", sent, {})
        expected = next((one for mode, one in case.expected.items() if mode in self._modes), case.expected.get("", {}))
        difference = self._likeness.difference(expected, answer)
        if not status_like(case.status, response.status_code):
            told = [one.get("details", {}).get("text") or one.get("diagnostics") for one in answer.get("issue", ())]
            difference = f"HTTP {response.status_code}, not {case.status}: {told} {difference}"
        return Result(case, difference, sent, answer)
