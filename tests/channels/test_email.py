"""Notifications by e-mail: into a folder, and to a mail server on a socket."""

import asyncio
import ssl
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from fhir_server.channels.email import HEARTBEAT, LEVEL, Email
from fhir_server.model.channel import Notification, Undelivered
from smart_auth.messages import Message, Nowhere
from smart_auth.outbox import Folder, Sender, Smtp
from tests.smart_auth.mail import mail_server

SENDER = Sender("no-reply@clinic.example")
BODY = b'{"resourceType":"Bundle","type":"history","id":"' + b"x" * 2000 + b'"}'
EVENT = Notification("s1", "event-notification", "application/fhir+json", BODY, (), 4, 6)
TO = "mailto:Duty@Clinic.example"
ALLOWED = ("clinic.example", "ann@home.example")


def now() -> datetime:
    return datetime(2026, 11, 21, 8, tzinfo=UTC)


def asked(level: str = "id-only", **channel: Any) -> dict[str, Any]:
    payload = (
        {"payload": "application/fhir+json", "_payload": {"extension": [{"url": LEVEL, "valueCode": level}]}}
        if level
        else {}
    )
    return {"channel": {"type": "email", "endpoint": TO, **payload, **channel}}


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def written(folder: Path, notification: Notification, to: str = TO) -> EmailMessage:
    await Email(Folder(folder, SENDER, now), ALLOWED, "id-only").deliver(to, notification)
    (file,) = files(folder)
    letter = message_from_bytes(file.read_bytes(), policy=default)
    assert isinstance(letter, EmailMessage)
    return letter


async def test_a_letter_says_what_it_is_about_and_the_notification_is_attached(tmp_path: Path) -> None:
    letter = await written(tmp_path, EVENT)
    assert (letter["To"], letter["Subject"]) == ("duty@clinic.example", "Something new")
    text = letter.get_body()
    assert text
    assert "Events 4 to 6." in text.get_content()
    (attached,) = letter.iter_attachments()
    assert attached.get_content_type() == "application/fhir+json"
    assert attached.get_filename() == "notification.json"
    assert attached.get_content() == BODY


async def test_a_letter_without_payload_has_the_chosen_subject_and_no_attachment(tmp_path: Path) -> None:
    letter = await written(
        tmp_path,
        Notification("s1", "event-notification", "", b"", (("Subject", "Grüße"),), 7, 7),
        "mailto:ann@home.example",
    )
    assert letter["Subject"] == "Grüße"
    text = letter.get_body()
    assert text
    assert "Event 7." in text.get_content()
    assert list(letter.iter_attachments()) == []


async def test_a_mail_server_takes_the_letter_or_it_is_undelivered() -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    async with mail_server(tls) as server:
        await Email(Smtp("127.0.0.1", server.port, "none", SENDER, now), ALLOWED, "id-only").deliver(TO, EVENT)
    assert b'filename="notification.json"' in server.letters[0]
    async with mail_server(tls, refuse="RCPT") as server:
        with pytest.raises(Undelivered, match="not taken") as raised:
            await Email(Smtp("127.0.0.1", server.port, "none", SENDER, now), ALLOWED, "id-only").deliver(TO, EVENT)
    assert not raised.value.permanent
    assert "127.0.0.1" not in raised.value.reason
    with pytest.raises(Undelivered, match="not taken"):
        await Email(Nowhere(), ALLOWED, "id-only").deliver(TO, EVENT)


async def test_a_mail_server_that_hangs_is_given_up_in_time() -> None:
    class Hanging:
        async def send(self, message: Message) -> None:
            await asyncio.sleep(30)

    with pytest.raises(Undelivered, match=r"within 0\.1 seconds"):
        await Email(Hanging(), ALLOWED, "id-only").deliver(TO, Notification("s", "handshake", "", b"", seconds=0.1))


async def test_mail_to_somebody_who_may_not_be_written_to_any_more_is_given_up_for_good(tmp_path: Path) -> None:
    with pytest.raises(Undelivered, match="Nobody at") as raised:
        await Email(Folder(tmp_path, SENDER, now), (), "id-only").deliver(TO, EVENT)
    assert raised.value.permanent
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("subscription", "why"),
    [
        (asked(endpoint=""), "needs channel.endpoint"),
        (asked(endpoint="duty@clinic.example"), "needs channel.endpoint"),
        (asked(endpoint="mailto:duty@clinic.example?bcc=all@world.example"), "needs channel.endpoint"),
        (asked(endpoint="mailto:duty@clinic.example,a@b.example"), "needs channel.endpoint"),
        (asked(endpoint="mailto:duty@clinic.example%0Abcc:a@b.example"), "needs channel.endpoint"),
        (asked(endpoint="mailto:a@evil.example"), "channels.recipients"),
        (asked(endpoint="mailto:bob@home.example"), "channels.recipients"),
        (asked(endpoint="mailto:a@clinic.example.evil.example"), "channels.recipients"),
        (asked("full-resource"), "no more than 'id-only'"),
        (asked("", payload="application/fhir+json"), "no more than 'id-only'"),
        (asked(header=["Bcc: a@b.example"]), "Subject"),
        (asked(header=["Subject: a\nBcc: a@b.example"]), "Subject"),
        (asked(extension=[{"url": HEARTBEAT, "valueUnsignedInt": 60}]), "Heartbeats"),
    ],
)
def test_what_cannot_be_mailed_is_refused_when_it_is_asked_for(subscription: dict[str, Any], why: str) -> None:
    assert why in Email(Nowhere(), ALLOWED, "id-only").refuse(subscription)


def test_what_may_be_mailed_is_not_refused() -> None:
    email = Email(Nowhere(), ALLOWED, "id-only")
    assert email.refuse(asked("id-only", header=["Subject: Results"])) == ""
    assert email.refuse(asked("", endpoint="mailto:ann@home.example")) == ""
    assert Email(Nowhere(), ALLOWED, "full-resource").refuse(asked("full-resource")) == ""
