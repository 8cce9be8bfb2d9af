"""The people, the app and the service of the demo."""

from collections.abc import Iterator

import pytest

from fhir_server.demo import country
from fhir_server.demo.accounts import ACCOUNTS, Account, SampleApp
from smart_auth import passwords, redirects


@pytest.fixture(scope="module")
def urls() -> set[str]:
    def some() -> Iterator[country.Shipment]:
        yield from country.ground()
        yield from (shipment for _, shipment in zip(range(10), country.patients(), strict=False))

    return {entry["request"]["url"] for shipment in some() for entry in shipment.bundle["entry"]}


@pytest.mark.parametrize("account", ACCOUNTS, ids=lambda account: account.login)
def test_everybody_who_signs_in_is_in_the_record(account: Account, urls: set[str]) -> None:
    assert set(account.references) <= urls


def test_passwords_are_the_same_at_every_run_and_different_in_every_deployment() -> None:
    made = [next(account.passwords(b"a" * 32)) for account in ACCOUNTS]
    assert made == [next(account.passwords(b"a" * 32)) for account in ACCOUNTS]
    assert len({*made, *(next(account.passwords(b"b" * 32)) for account in ACCOUNTS)}) == 2 * len(ACCOUNTS)
    assert all(passwords.weakness(one, login="someone") == "" for one in made)
    assert {len(one) for one in made} == {19}


def test_the_sample_app_may_be_registered_and_runs_at_any_port() -> None:
    app = SampleApp()
    here = [f"http://127.0.0.1:8080{path}" for path in (app.page, app.answers)]
    assert [uri for uri in (*app.redirect_uris, *here) if redirects.fault(uri)] == []
    assert redirects.matches("http://127.0.0.1:5173/callback", app.redirect_uris)
