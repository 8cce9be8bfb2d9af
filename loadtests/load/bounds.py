"""What a load test may do: to a server on this machine, for a limited time, with a limited number of clients."""

import ipaddress
from urllib.parse import urlsplit

MOST_CLIENTS = 512
MOST_SECONDS = 3600
LOCAL = "localhost"


def refuse(url: str) -> str:
    """Return why a server must not be loaded, empty if it may be."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return f"'{url}' is not the URL of a server. Give one such as http://127.0.0.1:8080."
    try:
        local = parts.hostname == LOCAL or ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        local = False
    if not local:
        return f"{parts.hostname} is not this machine. Load tests only run against 127.0.0.1, ::1 and localhost."
    return ""


def refuse_size(clients: int, seconds: float) -> str:
    """Return why a load test is too large, empty if it is not."""
    if not 1 <= clients <= MOST_CLIENTS:
        return f"{clients} clients are not between 1 and {MOST_CLIENTS}."
    if not 1 <= seconds <= MOST_SECONDS:
        return f"{seconds:g} seconds are not between 1 and {MOST_SECONDS}."
    return ""
