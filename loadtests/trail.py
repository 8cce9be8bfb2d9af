"""How fast a trail is checked: rows are stored and linked as a server does it, then read again by `audit verify`'s own code."""

import asyncio
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import process_time

import uvloop

from fhir_server.audit.keys import SigningKey
from fhir_server.audit.lane import MOST, Lane
from fhir_server.audit.sealing import Sealer
from fhir_server.audit.verify import verify
from fhir_server.model import ids
from fhir_server.settings import Mongo, Settings
from fhir_server.store.chain import Chain
from fhir_server.store.client import connect
from fhir_server.store.embedded import embedded
from fhir_server.store.trail import Trail

ROWS = 200_000


async def measure(folder: Path, rows: int) -> tuple[float, float]:
    """Return how many rows were checked per second, and per second of this process's own CPU."""
    settings = Settings(data_dir=folder, mongo=Mongo(database="trail", cache_gb=0.5))
    async with embedded(settings) as connection:
        client = connect(connection.url, settings)
        try:
            trail = Trail(client["trail"])
            await trail.open()
            chain = Chain(trail.database)
            lane, key = Lane(chain, _now), SigningKey.of(folder)
            trail.follow(lane.take)
            for start in range(0, rows, MOST):
                await asyncio.gather(*(trail.add(_row(number)) for number in range(start, start + MOST)))
                await lane.flush()
            await Sealer(chain, _now, lane, key, 60).seal()
            began = process_time()
            report = await verify(chain, _now(), {key.id: key.public})
            used = process_time() - began
            if not report.is_sound or report.rows != rows:
                raise SystemExit(f"the check found {report}")
            return report.rows / report.seconds, report.rows / used
        finally:
            await client.close()


def main() -> None:
    """Measure and report."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory(prefix="trail-") as folder:
        rate, own = uvloop.run(measure(Path(folder), rows))
    print(f"{rows:,} rows checked: {rate:,.0f} a second, {own:,.0f} a second of the checking process's CPU")


def _now() -> datetime:
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _row(number: int) -> dict[str, object]:
    patient = f"p{number % 500}"
    return {
        "_id": ids.new(),
        "t": _now(),
        "k": "read",
        "a": "R",
        "oc": "0",
        "st": 200,
        "au": "staff",
        "c": "c-9da3e0fb9f72403b97cae2425d0d112d",
        "u": f"u-{number % 40}",
        "g": "SnfYCjEoTGdT-VRJP4Xw_kSJp9cSM4AUEUXO_BtyoIc",
        "pu": "TREAT",
        "e": [f"Patient/{patient}/_history/1"],
        "p": patient,
        "rt": "Patient",
        "m": "GET",
        "ip": "192.0.2.17",
        "rq": f"{number:016x}",
    }


if __name__ == "__main__":
    main()
