"""From settings to a listening process: sockets, uvicorn, one or more workers, and a graceful end."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from types import FrameType

import uvicorn
import uvloop
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from fhir_server.http import garbage
from fhir_server.http.app import Running, create_app
from fhir_server.http.bind import check_bind
from fhir_server.http.edge import Service
from fhir_server.http.protocol import Protocol
from fhir_server.http.sockets import MOST_MESSAGE, PING_SECONDS, Sockets
from fhir_server.settings import Settings

Announce = Callable[[], None]

ENDING = (signal.SIGINT, signal.SIGTERM)
BACKLOG = 2048
IDLE_SECONDS = 75
GRACE_SECONDS = 30
START_SECONDS = 120


def listen(settings: Settings) -> socket.socket:
    """Return the bound socket, before anything expensive is started.

    Raises:
        ValueError: An open server on an address that others can reach (`check_bind`).
        OSError: The address cannot be bound.
    """
    check_bind(settings)
    host, port = settings.server.host, settings.server.port
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Small answers leave at once; accepted connections inherit it.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.set_inheritable(True)
    except OSError:
        listener.close()
        raise
    return listener


def url(listener: socket.socket, host: str) -> str:
    """Return the URL of a bound socket, with the host name that was asked for."""
    port = listener.getsockname()[1]
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}"


def application(settings: Settings, running: Running) -> ASGIApp:
    """Return the application of a server process, which tunes the garbage collector once the service stands."""

    @asynccontextmanager
    async def settled(settings: Settings) -> AsyncIterator[Service]:
        async with running(settings) as service:
            garbage.settle()
            yield service

    return create_app(settings, settled)


def serve_here(settings: Settings, running: Running, listener: socket.socket, announce: Announce) -> None:
    """Serve in this process until SIGINT or SIGTERM; requests under way are finished.

    Args:
        settings: Effective settings.
        running: Settings to a running service.
        listener: From `listen`.
        announce: Called once requests are answered.
    """

    async def main() -> None:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        # Until uvicorn takes the signals over, they end the start; what is already there is put away in order.
        for number in ENDING:
            loop.add_signal_handler(number, task.cancel if task else loop.stop)
        async with running(settings) as service:
            garbage.settle()
            for number in ENDING:
                loop.remove_signal_handler(number)
            served = config(create_app(settings, _given(service)), proxies=settings.server.proxies)
            await AnnouncingServer(served, announce).serve([listener])

    with contextlib.suppress(asyncio.CancelledError), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def serve_workers(
    settings: Settings, running: Running, factory: str, listener: socket.socket, announce: Announce
) -> None:
    """Serve in several processes until SIGINT or SIGTERM; one that dies is replaced.

    This process answers no requests. It holds the service open, so that the embedded database outlives every worker and
    a failing start is told once.

    Args:
        settings: Effective settings.
        running: Settings to a running service.
        factory: Import path (`module:function`) of what returns the application in each worker.
        listener: From `listen`; the workers share it.
        announce: Called once every worker answers.
    """
    with _held(running(settings)):
        _Workers(config(factory, settings.server.workers, settings.server.proxies), listener, announce).run()


class AnnouncingServer(uvicorn.Server):
    """A server that tells when it answers, and whose end by a signal is an ordinary end."""

    def __init__(self, config: uvicorn.Config, announce: Announce) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        if self.started:
            self._announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in order; a second SIGINT ends at once."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


class _Workers(Multiprocess):
    """Processes that tell when all of them answer."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket, announce: Announce) -> None:
        super().__init__(config, [listener])
        self._announce = announce

    def init_processes(self) -> None:
        super().init_processes()
        if all(process.wait_until_ready(START_SECONDS, self.should_exit) for process in self.processes):
            self._announce()


def _given(service: Service) -> Running:
    """Return a `running` for a service that runs already."""

    @asynccontextmanager
    async def running(_: Settings) -> AsyncIterator[Service]:
        yield service

    return running


@contextmanager
def _held(context: AbstractAsyncContextManager[Service]) -> Iterator[None]:
    """Hold an asynchronous context open on an event loop in a thread, while this thread waits for other things."""
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="service", daemon=True)
    thread.start()
    opened, release = threading.Event(), asyncio.Event()

    async def hold() -> None:
        async with context:
            opened.set()
            await release.wait()

    held = asyncio.run_coroutine_threadsafe(hold(), loop)
    held.add_done_callback(lambda _: opened.set())
    try:
        opened.wait()
        if not held.done():
            yield
    finally:
        loop.call_soon_threadsafe(release.set)
        try:
            held.result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


def config(app: ASGIApp | str, workers: int = 1, proxies: Sequence[object] = ()) -> uvicorn.Config:
    """Return how uvicorn serves an application, or what the import path of a factory returns.

    Args:
        app: The application, or the import path of its factory.
        workers: Processes.
        proxies: Networks whose word is taken for whom they forward; without any, nobody's is.
    """
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        workers=workers,
        loop="uvloop",
        http=Protocol,
        ws=Sockets,
        ws_max_size=MOST_MESSAGE,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=[str(network) for network in proxies],
        backlog=BACKLOG,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
