"""Letters on their way: into a folder, and to a mail server that speaks SMTP on a socket."""

import base64
import ssl
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from smart_auth.messages import Message, Undelivered, is_address
from smart_auth.outbox import Folder, Security, Sender, Smtp
from tests.certificates import certificate
from tests.smart_auth.clock import Clock
from tests.smart_auth.mail import mail_server

SENDER = Sender("no-reply@clinic.example", "Klinik Süd")
LINK = "https://a.example/auth/password?link=" + "x" * 60
LETTER = Message("reset", "ann@mail.example", "A new password", f"Hello Ann,\n\n{LINK}\n")


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def test_a_letter_becomes_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "messages"
    await Folder(folder, SENDER, Clock()).send(LETTER)
    (file,) = files(folder)
    assert file.name.startswith("20261121T080000-reset-")
    assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    letter = message_from_bytes(file.read_bytes(), policy=default)
    assert (letter["To"], letter["Subject"]) == ("ann@mail.example", "A new password")
    assert letter["From"] == "Klinik Süd <no-reply@clinic.example>"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert LINK in file.read_text(encoding="utf-8")


async def test_a_letter_with_other_letters_than_latin_arrives_as_it_was(tmp_path: Path) -> None:
    await Folder(tmp_path, SENDER, Clock()).send(Message("notice", "a@b.example", "Grüße", f"ליילה\n{LINK}\n"))
    (file,) = files(tmp_path)
    letter = message_from_bytes(file.read_bytes(), policy=default)
    assert letter["Subject"] == "Grüße"
    body = letter.get_body()
    assert body
    assert body.get_content().splitlines() == ["ליילה", LINK]


async def test_a_folder_that_cannot_be_written_is_said_to_the_operator(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Undelivered, match="cannot be written into"):
        await Folder(tmp_path / "file", SENDER, Clock()).send(LETTER)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("ann@mail.example", True),
        ("a.b+c@localhost", True),
        ("ann", False),
        ("ann@mail.example\r\nBcc: eve@evil.example", False),
        ("ann@a.example,eve@evil.example", False),
        ("<ann@a.example>", False),
        ("a@" + "b" * 260, False),
        ("", False),
    ],
)
def test_an_address_is_one_address_and_nothing_more(text: str, right: bool) -> None:
    assert is_address(text) is right


@pytest.fixture(scope="module", name="certificate")
def mail_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of a mail server at 127.0.0.1, in one file."""
    return certificate(tmp_path_factory.mktemp("mail"), "mail.example")


@pytest.fixture(scope="module")
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_mail_server_takes_a_letter_in_secret(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch, security: Security
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with mail_server(tls, at_once=security == "tls") as server:
        await Smtp("127.0.0.1", server.port, security, SENDER, Clock(), "app", "hush").send(LETTER)
    auth = next(line for line in server.said if line.startswith("AUTH"))
    assert base64.b64decode(auth.split()[2]) == b"\0app\0hush"
    if security == "starttls":
        assert server.said.index("STARTTLS") < server.said.index(auth)
    assert any(line.lower().startswith("rcpt to:<ann@mail.example>") for line in server.said)
    assert LINK.encode() in server.letters[0]


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_mail_server_that_does_not_prove_who_it_is_gets_neither_password_nor_letter(
    tls: ssl.SSLContext, security: Security
) -> None:
    async with mail_server(tls, at_once=security == "tls") as server:
        with pytest.raises(Undelivered, match="did not take"):
            await Smtp("127.0.0.1", server.port, security, SENDER, Clock(), "app", "hush").send(LETTER)
    assert not [line for line in server.said if line.startswith(("AUTH", "MAIL"))]


async def test_a_mail_server_gets_other_letters_than_latin_as_they_are(tls: ssl.SSLContext) -> None:
    async with mail_server(tls) as server:
        letter = Message("notice", "a@b.example", "आपका पासवर्ड", f"नमस्ते\n{LINK}\n.\nअंत\n")
        await Smtp("127.0.0.1", server.port, "none", SENDER, Clock()).send(letter)
    content = server.letters[0].replace(b"\r\n..", b"\r\n.").removesuffix(b".\r\n")
    arrived = message_from_bytes(content, policy=default)
    assert arrived["Subject"] == "आपका पासवर्ड"
    body = arrived.get_body()
    assert body
    assert body.get_content().splitlines() == ["नमस्ते", LINK, ".", "अंत"]


async def test_a_mail_server_that_refuses_or_is_not_there_is_said_to_the_operator(tls: ssl.SSLContext) -> None:
    async with mail_server(tls, refuse="RCPT") as server:
        smtp = Smtp("127.0.0.1", server.port, "none", SENDER, Clock())
        with pytest.raises(Undelivered, match="not here"):
            await smtp.send(LETTER)
    with pytest.raises(Undelivered, match="refused"):
        await smtp.send(LETTER)
    assert "hush" not in repr(Smtp("h", 25, "tls", SENDER, Clock(), "app", "hush"))
