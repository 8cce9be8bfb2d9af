"""Settings of Subscriptions."""

from pathlib import Path

from pydantic import Field

from fhir_server.settings.section import Section


class Subscriptions(Section):
    """What can be subscribed to, and for how long subscribers are waited for."""

    topics: Path | None = Field(
        default=None,
        description="JSON file with topics beyond our own: an R5 SubscriptionTopic, an array of them, or a Bundle.",
    )
    keep_days: float = Field(
        default=30,
        gt=0,
        le=3650,
        description="Days for which events are kept for `$events` and for subscribers who were away.",
    )
    give_up_seconds: float = Field(
        default=3600,
        ge=0,
        description="Seconds for which a notification that is not taken is tried again, until the Subscription is in error.",
    )
    token_minutes: float = Field(
        default=30, gt=0, le=1440, description="How long a token of `$get-ws-binding-token` can be used."
    )
