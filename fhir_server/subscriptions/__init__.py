"""Subscriptions as they are asked for: what they are about, when something concerns them, and what is said of it.

Nothing here reads or writes the record; `repository.subscribing` accepts Subscriptions, and `notifications` serves them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_server.model.channel import Channel
from fhir_server.model.errors import Unprocessable
from fhir_server.search.reading import Reading
from fhir_server.settings import Search
from fhir_server.subscriptions import asked as reader
from fhir_server.subscriptions.asked import TYPE, Asked
from fhir_server.subscriptions.rules import Compiler, Rule
from fhir_server.subscriptions.topics import OWN_TOPICS, Topic
from profiles.definitions.registry import Definitions


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be subscribed to, and how.

    Attributes:
        search: How criteria are read.
        topics: Topics by URL.
        channels: Channels by the code of their type.
    """

    search: Search
    topics: Mapping[str, Topic] = field(default_factory=lambda: {topic.url: topic for topic in OWN_TOPICS})
    channels: Mapping[str, Channel] = field(default_factory=dict)

    def rules(self, asked: Asked, definitions: Definitions, reading: Reading) -> tuple[Rule, ...]:
        """Return what a Subscription asks for as rules.

        Raises:
            Unprocessable: It asks for what cannot be told of.
        """
        return Compiler(self.topics, definitions, self.search, reading).rules(asked)

    def accepted(
        self, resource: Mapping[str, Any], definitions: Definitions, reading: Reading
    ) -> tuple[Asked, tuple[Rule, ...]]:
        """Return what a valid Subscription asks for, if it can be served.

        Raises:
            Unprocessable: It cannot.
        """
        asked = reader.read(resource)
        channel = self.channels.get(asked.channel)
        if channel is None:
            offered = ", ".join(sorted(self.channels)) or "none"
            raise Unprocessable(
                f"There is no channel of the type '{asked.channel[:40]}' here. There are: {offered}.",
                expression=f"{TYPE}.channel.type",
            )
        if why := channel.refuse(resource):
            raise Unprocessable(why, expression=f"{TYPE}.channel")
        return asked, self.rules(asked, definitions, reading)
