"""A host for apps: static pages on a port of their own, which is another origin than the server's."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class _Pages(SimpleHTTPRequestHandler):
    """The app's own pages, and below `/packages` those of npm."""

    def __init__(self, *arguments: Any, packages: Path, **more: Any) -> None:
        self._packages = packages
        super().__init__(*arguments, directory=str(HERE / "app"), **more)

    def translate_path(self, path: str) -> str:
        if path.startswith("/packages/"):
            return str(self._packages / path.partition("?")[0].removeprefix("/packages/"))
        return super().translate_path(path)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is that of the class above
        """Say nothing."""


@contextmanager
def hosted(packages: Path) -> Iterator[str]:
    """Yield the origin of the app. Its host is `localhost`, and so another site than 127.0.0.1, with other cookies."""
    with ThreadingHTTPServer(("localhost", 0), partial(_Pages, packages=packages)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
