"""Settings of requests that this server sends."""

import re
from ipaddress import ip_network

from pydantic import Field, field_validator

from fhir_server.settings.section import Section


class Outbound(Section):
    """Where requests may go that this server sends to URLs which others have chosen: notifications, imports."""

    allowed: tuple[str, ...] = Field(
        default=(),
        description="Hosts (`hooks.hospital.internal`, `hooks.hospital.internal:8443`) and networks (`10.20.0.0/16`) that may be reached "
        "although their addresses are not public, also without TLS.",
    )

    @field_validator("allowed")
    @classmethod
    def _allowed(cls, allowed: tuple[str, ...]) -> tuple[str, ...]:
        for text in allowed:
            try:
                ip_network(text)
            except ValueError:
                if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?", text, re.ASCII):
                    raise ValueError(f"'{text}' is neither a host, with or without a port, nor a network") from None
        return allowed
