"""One of several processes that use the same thing at the same moment.

Reads jobs, one JSON object a line: url and database of the records, what is done (a key of `KINDS`), given (the secrets that
it takes), times and now. Says `ready`, waits for another line, so that all processes begin together, does it so many times at once,
and prints how often each answer came.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from fhir_server.settings import Settings
from fhir_server.store.authorization import Authorization
from fhir_server.store.client import connect
from smart_auth import authorize, launch, opaque
from smart_auth.assertion import TYPE
from smart_auth.exchange import Answer
from smart_auth.protocol import Refused
from smart_auth.records import Session, User
from smart_auth.scopes.choices import everything
from tests.smart_auth.house import TYPES, House

Attempt = Callable[[House, Mapping[str, str]], Awaitable[str]]


def said(answer: Answer) -> str:
    return str(answer.body.get("access_token") or answer.body["error"])


async def code(house: House, given: Mapping[str, str]) -> str:
    return said(await house.redeem(given["code"]))


async def refresh(house: House, given: Mapping[str, str]) -> str:
    return said(await house.refresh(given["refresh_token"]))


async def assertion(house: House, given: Mapping[str, str]) -> str:
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", "client_assertion_type": TYPE}
    return said(await house.token({**form, "client_assertion": given["assertion"]}))


async def request(house: House, given: Mapping[str, str]) -> str:
    """Agree to a request of an app that was launched."""
    session, user = await house.store.get(Session, given["session"]), await house.store.get(User, given["user"])
    try:
        open_ = await authorize.find(house.realm, given["handle"], session, user)
        return await authorize.agree(house.realm, open_, everything(house.realm.scopes(open_.asked.scope), TYPES))
    except Refused as error:
        return error.code


async def launched(house: House, given: Mapping[str, str]) -> str:
    """Use a launch."""
    found = await launch.find(house.realm, opaque.digest(given["launch"]), "public")
    return "used" if found and await launch.use(house.realm, found) else "refused"


KINDS: Mapping[str, Attempt] = {
    "code": code,
    "refresh": refresh,
    "assertion": assertion,
    "request": request,
    "launch": launched,
}


async def compete(job: Mapping[str, Any]) -> Counter[str]:
    async with connect(SecretStr(job["url"]), Settings()) as client:
        house = House(Authorization(client[job["database"]]))
        house.clock.now = datetime.fromisoformat(job["now"])
        await house.store.epoch()
        said_line("ready")
        await asyncio.to_thread(sys.stdin.readline)
        attempts = (KINDS[job["what"]](house, job["given"]) for _ in range(job["times"]))
        return Counter(await asyncio.gather(*attempts))


def said_line(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    for line in iter(sys.stdin.readline, ""):
        said_line(json.dumps(asyncio.run(compete(json.loads(line)))))
