"""One of several processes that redeem the same code; prints status and access token of each answer."""

import asyncio
import json
import sys

from pydantic import SecretStr

from fhir_server.settings import Settings
from fhir_server.store.authorization import Authorization
from fhir_server.store.client import connect
from tests.smart_auth.house import House


async def main(url: str, database: str, code: str, times: int) -> None:
    async with connect(SecretStr(url), Settings()) as client:
        house = House(Authorization(client[database]))
        answers = await asyncio.gather(*(house.redeem(code) for _ in range(times)))
        print(json.dumps([(answer.status, answer.body.get("access_token", "")) for answer in answers]))  # noqa: T201


if __name__ == "__main__":
    place, name, secret, times = sys.argv[1:]
    asyncio.run(main(place, name, secret, int(times)))
