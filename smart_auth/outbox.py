"""How letters leave: into a folder, from which an operator or a mail program takes them, or to a mail server (RFC 5321)."""

import asyncio
import os
import secrets
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Literal

from smart_auth.messages import Message, Undelivered

Security = Literal["starttls", "tls", "none"]
SECONDS = 10
"""How long a mail server may take for each answer."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who the letters are from.

    Attributes:
        address: E-mail address.
        name: What mail programs show beside it.
    """

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Folder:
    """Implements `Messenger` by a file for each letter. They hold secret links, so only this program's user may read them.

    Attributes:
        path: The folder; made when the first letter is written.
        sender: Who the letters are from.
        clock: Present time.
    """

    path: Path
    sender: Sender
    clock: Callable[[], datetime]

    async def send(self, message: Message) -> None:
        """Write a file that can be opened with any mail program.

        Raises:
            Undelivered: It cannot be written.
        """
        now = self.clock()
        name = f"{now:%Y%m%dT%H%M%S}-{message.kind}-{secrets.token_hex(4)}.eml"
        content = composed(message, self.sender, now).as_bytes()
        try:
            await asyncio.to_thread(_write, self.path, name, content)
        except OSError as error:
            raise Undelivered(f"The letter cannot be written into {self.path}: {error.strerror or error}.") from error


@dataclass(frozen=True, slots=True)
class Smtp:
    """Implements `Messenger` by a mail server.

    Attributes:
        host: Its name.
        port: Its port.
        security: starttls (begun in clear, then encrypted), tls (encrypted from the start) or none (this machine only).
        sender: Who the letters are from.
        clock: Present time.
        user: Login there; empty for none.
        password: Its password.
    """

    host: str
    port: int
    security: Security
    sender: Sender
    clock: Callable[[], datetime]
    user: str = ""
    password: str = field(default="", repr=False)

    async def send(self, message: Message) -> None:
        """Hand a letter over to the mail server.

        Raises:
            Undelivered: It cannot be reached, does not prove who it is, or does not take the letter.
        """
        try:
            await asyncio.to_thread(self._send, composed(message, self.sender, self.clock()))
        except (OSError, smtplib.SMTPException) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise Undelivered(f"The mail server {self.host}:{self.port} did not take the letter: {why}") from error

    def _send(self, letter: EmailMessage) -> None:
        context = ssl.create_default_context()
        if self.security == "tls":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=SECONDS, context=context)
        else:
            connection = smtplib.SMTP(self.host, self.port, timeout=SECONDS)
        with connection:
            if self.security == "starttls":
                connection.starttls(context=context)
            if self.user:
                connection.login(self.user, self.password)
            connection.send_message(letter)


def composed(message: Message, sender: Sender, now: datetime) -> EmailMessage:
    """Return a letter as mail programs want it. Its links stay in one line, so that they can be clicked and copied."""
    letter = EmailMessage(SMTP)
    letter["From"] = Address(sender.name, addr_spec=sender.address)
    letter["To"] = Address(addr_spec=message.to)
    letter["Subject"] = message.subject
    letter["Date"] = format_datetime(now)
    letter["Message-ID"] = make_msgid(domain=sender.address.rpartition("@")[2])
    letter["Auto-Submitted"] = "auto-generated"  # no out-of-office notes in answer (RFC 3834 5)
    letter.set_content(message.text, cte="7bit" if message.text.isascii() else "8bit")
    if message.attached:
        kind, _, subtype = message.attached.media.partition(";")[0].partition("/")
        letter.add_attachment(message.attached.content, kind, subtype, cte="base64", filename=message.attached.name)
    return letter


def _write(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f".{name}"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    draft.rename(folder / name)
