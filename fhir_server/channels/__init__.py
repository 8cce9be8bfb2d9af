"""The ways by which notifications reach subscribers (`model.channel`): one module each, and the table of those that are offered."""

from collections.abc import Mapping
from types import MappingProxyType

from fhir_server.channels.email import Email
from fhir_server.channels.message import Brokers
from fhir_server.channels.rest_hook import RestHook
from fhir_server.channels.websocket import Websocket
from fhir_server.model.channel import Channel
from fhir_server.outbound import Outbound
from fhir_server.settings.channels import Channels
from smart_auth.messages import Messenger


def offered(settings: Channels, outbound: Outbound, messenger: Messenger) -> Mapping[str, Channel]:
    """Return the channels by the code of their type.

    Args:
        settings: Which are offered, and within which bounds.
        outbound: What calls subscribers.
        messenger: What carries letters.
    """
    known: Mapping[str, Channel] = {
        "rest-hook": RestHook(outbound),
        "websocket": Websocket(),
        "email": Email(messenger, settings.recipients, settings.email_content),
        "message": Brokers([one.get_secret_value() for one in settings.brokers], settings.subjects),
    }
    return MappingProxyType({code: known[code] for code in settings.offered})


async def close(channels: Mapping[str, Channel]) -> None:
    """Close the connections that are kept."""
    for channel in channels.values():
        if isinstance(channel, Brokers):
            await channel.close()
