"""The score of the official terminology cases: `python -m tests.terminology.ecosystem [suite[/case]] [--modes general,snomed] [--sent]`.

With a suite its differences are told, with a case the request, the expected and the actual answer.
"""

# ruff: noqa: T201 - a command prints

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from fhir_server.http.logs import configure
from fhir_server.settings import Server
from tests.serving import own, serving
from tests.terminology.ecosystem.cases import suites
from tests.terminology.ecosystem.known import KNOWN
from tests.terminology.ecosystem.runner import Result, Runner

DATA = Path(os.environ.get("FHIR_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="?", default="", help="suite, or suite/case")
    parser.add_argument("--modes", default="general")
    parser.add_argument("--operation", default="", help="cases of one operation only")
    parser.add_argument("--sent", action="store_true", help="bring resources with each request")
    asked = parser.parse_args()
    suite, _, case = asked.which.partition("/")
    os.environ.setdefault("FHIR_AUTH__MODE", "open")
    configure("error")
    modes = frozenset(asked.modes.split(","))
    with tempfile.TemporaryDirectory() as folder:
        async with serving(own(Path(folder), "cases", server=Server(log_requests="off"))) as client:
            runner = Runner(client, modes, stored=not asked.sent)
            for one in suites(DATA, modes):
                if suite in {"", one.name}:
                    results = [
                        row for row in await runner.results(one, case) if asked.operation in {"", row.case.operation}
                    ]
                    show(one.name, results, bool(suite), bool(case))


def show(suite: str, results: list[Result], differences: bool, whole: bool) -> None:
    passed = [one for one in results if not one.difference]
    print(f"{suite:28} {len(passed):4} of {len(results):4}")
    for one in results:
        known = "known" if one.case.key in KNOWN else "UNKNOWN"
        if differences and one.difference:
            print(f"  {one.case.name} ({one.case.operation}, {known}): {one.difference}")
        if whole:
            for title, value in (("sent", one.sent), ("expected", one.case.expected), ("answer", one.answer)):
                print(f"--- {title}\n{json.dumps(value, indent=1)}")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
