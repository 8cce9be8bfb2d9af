"""Settings of the channels of Subscriptions."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from fhir_server.settings.section import Section

Code = Literal["rest-hook", "websocket", "email", "message"]


class Channels(Section):
    """How subscribers may be notified."""

    offered: tuple[Code, ...] = Field(
        default=("rest-hook", "websocket", "email", "message"),
        description="Types of channel that Subscriptions may ask for.",
    )
    recipients: tuple[str, ...] = Field(
        default=(),
        description="Domains (`clinic.example`) and addresses (`duty@clinic.example`) that may be notified by e-mail; empty: nobody.",
    )
    email_content: Literal["empty", "id-only", "full-resource"] = Field(
        default="id-only", description="How much a notification by e-mail may tell at most."
    )
    brokers: tuple[SecretStr, ...] = Field(
        default=(),
        description="Message brokers that notifications may be sent to, as URLs with login: `nats://user:secret@host:4222`, "
        "`jetstream://…`, `amqp://…/vhost`, and `tls+nats`, `tls+jetstream`, `amqps` for the same encrypted. Subscriptions name one without the login.",
    )
    subjects: str = Field(
        default="fhir.",
        pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.$",
        description="What the subjects (NATS) and queues (AMQP) begin with that Subscriptions may name.",
    )
    sockets: int = Field(default=1000, ge=0, description="Most websockets that one process holds.")

    @field_validator("brokers")
    @classmethod
    def _brokers(cls, brokers: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for one in brokers:
            parts = urlsplit(one.get_secret_value())
            if parts.scheme not in SCHEMES or not parts.hostname:
                raise ValueError(f"a broker is a URL that begins with {', '.join(SCHEMES)}")
        return brokers


SCHEMES = ("nats", "tls+nats", "jetstream", "tls+jetstream", "amqp", "amqps")
