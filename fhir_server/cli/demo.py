"""`fhir-server demo`: the synthetic country into the record."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from fhir_server.cli import service
from fhir_server.cli.administering import mendable
from fhir_server.cli.load import bar, show
from fhir_server.cli.options import AsJson, DataDir, complain, expected_failures, print_json, quiet_logs, settings_of
from fhir_server.cli.posting import Poster, Refusal, Tally, count
from fhir_server.settings import Settings

if TYPE_CHECKING:
    from fhir_server.cli.demo_accounts import Told
    from fhir_server.demo.country import Shipment

AT_ONCE = 4
TRY = (
    "metadata",
    "Patient?name=smith",
    "Patient/p0004",
    "Observation?patient=p0004&code=http://loinc.org|85354-9&_sort=-date",
    "Encounter?status=in-progress&_include=Encounter:subject",
    "Organization?partof=northreach",
)
HEART_RATE = "/admin/terminology#/system?url=http://loinc.org&code=8867-4"
"""Where the terminology page counts who measures heart rates."""

Scale = Annotated[int, typer.Option("--scale", help="1, 10 or 100 times five hundred patients.")]


def demo(*, data_dir: DataDir = None, scale: Scale = 1, as_json: AsJson = False) -> None:
    """Load a synthetic country: 8 facilities, 60 practitioners and 500 patients with two years of encounters.

    It is the same at every run, nobody in it is real, and loading it twice changes nothing. With it come a few people who can
    sign in, an app and a backend service; each run prints their logins. In open mode there is nothing to sign in to.
    """
    from fhir_server.demo import country

    if scale not in country.SCALES:
        complain(f"--scale is one of {', '.join(map(str, country.SCALES))}.")
        raise typer.Exit(2)
    settings = settings_of(data_dir)
    quiet_logs()
    with expected_failures(), mendable():
        tally, told = service.run(_demo(settings, scale))
    if as_json:
        print_json({**tally.as_json(), **({"signIn": told.as_json()} if told else {})})
    else:
        _say(tally, told, settings.service_base)
    if tally.refused:
        raise typer.Exit(1)


async def _demo(settings: Settings, scale: int) -> tuple[Tally, "Told | None"]:
    from fhir_server.cli import demo_accounts
    from fhir_server.demo import country

    tally = Tally()
    async with service.working(settings) as working:
        poster = Poster(working)
        with bar() as progress:
            task = progress.add_task("demo data", total=country.size(scale))

            async def send(shipment: "Shipment") -> None:
                await _ship(poster, shipment, tally)
                progress.advance(task)

            for shipment in country.ground():
                await send(shipment)
            if not tally.refused:
                await _side_by_side(country.patients(scale), send)
        smart = settings.auth.mode == "smart" and not tally.refused
        return tally, await demo_accounts.made(working) if smart else None


async def _side_by_side(
    shipments: Iterator["Shipment"], send: Callable[["Shipment"], Coroutine[Any, Any, None]]
) -> None:
    """Send shipments as they are made, a few at a time, so that a country of any size fits into memory."""
    under_way: set[asyncio.Task[None]] = set()
    for shipment in shipments:
        under_way.add(asyncio.create_task(send(shipment)))
        if len(under_way) >= AT_ONCE:
            done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    await asyncio.gather(*under_way)


async def _ship(poster: Poster, shipment: "Shipment", tally: Tally) -> None:
    if await poster.exists(shipment.marker):
        return
    for _, status, reason in count(tally, shipment.bundle, await poster.post(shipment.bundle, shipment.facility)):
        tally.refused.append(Refusal("demo", shipment.title, status, reason, len(shipment.bundle["entry"])))


def _say(tally: Tally, told: "Told | None", base: str) -> None:
    console = Console()
    if tally.stored or tally.refused:
        show(tally)
    else:
        console.print("The demo data is there already.")
    if told:
        from fhir_server.cli.demo_accounts import say

        say(told, console)
    start = "Start the server with `fhir-server serve`"
    if told:
        pages = base.removesuffix("/fhir")
        start += f", sign in at {pages}/auth/apps, or ask as this shell, with a token that is valid for an hour:\n"
        start += f"  curl --oauth2-bearer \"$(fhir-server token)\" '{base}/Patient?name=smith'\nThen try"
    else:
        start += ", then try"
    console.print(f"\n{start}", soft_wrap=True, markup=False, highlight=False)
    for path in TRY:
        console.print(f"  {base}/{path}", soft_wrap=True, markup=False)
    console.print(f"  {base.removesuffix('/fhir')}/docs", markup=False)
    console.print(f"  {base.removesuffix('/fhir')}{HEART_RATE}", soft_wrap=True, markup=False)
