"""Where a server listens and which names it answers."""

import pytest

from fhir_server.http.bind import Base, check_bind, proper_url
from fhir_server.model.errors import Forbidden
from fhir_server.settings import Auth, Server, Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_open_mode_listens_on_loopback(host: str) -> None:
    check_bind(Settings(server=Server(host=host)))


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.168.1.5", "db.localhost.example", "example.org", "127.0.0.1.nip.io"]
)
def test_open_mode_refuses_any_other_address_and_says_what_to_do(host: str) -> None:
    with pytest.raises(ValueError, match=r"Open mode .* Use --host 127\.0\.0\.1"):
        check_bind(Settings(server=Server(host=host)))


def test_the_configured_base_counts_more_than_the_host_header() -> None:
    base = Base(Settings(server=Server(base_url="https://record.example/r4/")))
    assert base.of("http", "localhost:8080") == "https://record.example/r4"
    assert base.of("http", "record.example") == "https://record.example/r4"
    with pytest.raises(Forbidden, match=r"server\.base_url"):
        base.of("http", "other.example")


def test_a_request_without_host_gets_the_address_that_the_server_listens_on() -> None:
    assert Base(Settings(server=Server(port=9000))).of("http", "") == "http://127.0.0.1:9000/fhir"


SMART = Auth(mode="smart")


@pytest.mark.parametrize(
    ("host", "base"),
    [("127.0.0.1", ""), ("::1", ""), ("0.0.0.0", "https://a.example/fhir"), ("0.0.0.0", "http://localhost:8080/fhir")],
)
def test_with_sign_in_the_server_may_listen_anywhere_that_has_a_name_and_tls(host: str, base: str) -> None:
    check_bind(Settings(auth=SMART, server=Server(host=host, base_url=base)))


@pytest.mark.parametrize(
    ("host", "base", "what"),
    [
        ("0.0.0.0", "", "FHIR_SERVER__BASE_URL to the public URL"),
        ("127.0.0.1", "http://a.example/fhir", "must not travel in clear"),
    ],
)
def test_passwords_and_tokens_do_not_travel_in_clear(host: str, base: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        check_bind(Settings(auth=SMART, server=Server(host=host, base_url=base)))


def test_with_sign_in_answers_name_one_base_whatever_name_was_used() -> None:
    base = Base(Settings(auth=SMART, server=Server(port=9000)))
    assert base.of("http", "localhost:9000") == base.of("http", "evil.example") == "http://127.0.0.1:9000/fhir"


@pytest.mark.parametrize(
    ("url", "proper"),
    [
        ("http://localhost:8080/auth/apps?a=%20b", "http://127.0.0.1:8080/auth/apps?a=%20b"),
        ("http://[::1]:8080/sample-app/", "http://127.0.0.1:8080/sample-app/"),
        ("http://127.0.0.1:8080/auth/apps", ""),
        ("http://localhost:9000/auth/apps", ""),
        ("https://localhost:8080/auth/apps", ""),
        ("http://evil.example:8080/auth/apps", ""),
        ("http://localhost:x/auth/apps", ""),
    ],
)
def test_a_page_on_this_machine_is_moved_to_the_name_that_cookies_know(url: str, proper: str) -> None:
    assert proper_url(url, "http://127.0.0.1:8080/fhir") == proper


def test_a_page_behind_a_proxy_stays_whatever_name_the_proxy_gives_it() -> None:
    assert proper_url("http://127.0.0.1:8080/auth/apps", "https://a.example/fhir") == ""
    assert proper_url("http://localhost:8080/auth/apps", "http://localhost/fhir") == ""
