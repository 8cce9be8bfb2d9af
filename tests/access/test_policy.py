"""The effective policy and its hash: what is in it, what changes it, and what must never be in it."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from fhir_server.access.policy import ASIDE, policy, policy_hash
from fhir_server.settings import Access, Auth, Jobs, Profiled, Record, Section, Server, Settings, Validation
from tests.access.house import ADMINISTRATOR, ORIGIN, House
from tests.audit.trail import left, rows


@pytest.fixture(scope="module")
def base() -> Settings:
    return Settings()


def test_the_same_settings_give_the_same_hash(base: Settings) -> None:
    assert policy_hash(base) == policy_hash(Settings())
    assert len(policy_hash(base)) == 16


@pytest.mark.parametrize(
    "changed",
    [
        {"access": Access(labels=("HIV", "R"))},
        {"access": Access(labelling="off")},
        {"auth": Auth(mode="smart")},
        {"auth": Auth(session_idle_minutes=15)},
        {"record": Record(facility="clinic")},
        {"validation": Validation(facilities={"clinic": Profiled(profiles="enforce")})},
    ],
)
def test_a_switch_changes_the_hash(base: Settings, changed: dict[str, Section]) -> None:
    assert policy_hash(Settings(**changed)) != policy_hash(base)  # type: ignore[arg-type]


def test_what_decides_nothing_about_access_does_not(base: Settings) -> None:
    assert policy_hash(
        Settings(server=Server(port=1), jobs=Jobs(concurrency=0), data_dir=Path("other"))
    ) == policy_hash(base)
    assert Settings.model_fields.keys() >= ASIDE


def test_the_content_of_the_table_of_sensitive_codes_counts(tmp_path: Path) -> None:
    table = tmp_path / "codes.json"
    table.write_text("{}")
    settings = Settings(access=Access(sensitive=table))
    before = policy_hash(settings)
    table.write_text('{"HIV": {"urn:x": ["1"]}}')
    assert policy_hash(settings) != before
    assert str(tmp_path) not in str(policy(settings))


def test_no_secret_stands_in_the_policy() -> None:
    secret = "s" * 40
    settings = Settings(auth=Auth(secret=SecretStr(secret), registration="token", registration_token=SecretStr(secret)))
    shown = policy(settings)
    assert secret not in str(shown)
    assert shown["settings"]["auth"]["secret"] == "set"


def test_roles_labels_and_settings_are_in_it(base: Settings) -> None:
    shown = policy(base)
    assert shown["settings"]["access"]["labels"] == ["PSY", "ETH", "HIV", "SDV", "R", "V"]
    assert "V" not in shown["roles"]["doctor"]["clearance"]
    assert "HIV" in shown["labelling"]


async def test_administrators_read_the_policy_over_http(house: House) -> None:
    admin = await house.as_("user/*.rs", user=ADMINISTRATOR)
    answer = await admin.get(f"{ORIGIN}/admin/policy")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["hash"] == policy_hash(house.service.settings)
    assert answer.headers["etag"] == f'"{found["hash"]}"'
    assert found["settings"]["access"]["labelling"] == "on"
    assert answer.headers["cache-control"] == "no-store"


async def test_nobody_else_reads_the_policy(house: House) -> None:
    for who in (
        await house.as_("patient/*.rs", patient="ann"),
        await house.as_("system/*.cruds"),
        await house.registered("system/*.cruds", advisory=True),
    ):
        assert (await who.get(f"{ORIGIN}/admin/policy")).status_code == 403
    assert (await house.client.get("/admin/policy")).status_code == 401
    wrong = await house.client.get("/admin/policy", headers={"Authorization": "Bearer nothing"})
    assert wrong.status_code == 401
    assert "www-authenticate" in wrong.headers


async def test_AU_1_who_looks_at_the_policy_or_is_refused_leaves_a_row(house: House) -> None:
    admin = await house.as_("user/*.rs", user=ADMINISTRATOR)
    herself = await house.as_("patient/*.rs", patient="ann")
    for caller, status in ((admin, 200), (herself, 403)):
        answer, (row,) = await left(house, caller, "GET", f"{ORIGIN}/admin/policy")
        assert answer.status_code == status
        assert (row["k"], row["a"], row["st"], row["m"]) == ("policy-read", "R", status, "GET")
        assert (row["au"], bool(row["u"]), bool(row["ip"])) == (
            "administrator" if caller is admin else "patient",
            True,
            True,
        )
        shown = (await admin.get(f"AuditEvent/{row['_id']}")).json()
        assert shown["subtype"][0]["code"] == "policy-read"
    asked = {"X-Request-Id": "policy-of-nobody"}
    assert (await house.client.get("/admin/policy", headers=asked)).status_code == 401
    (row,) = await rows(house, rq="policy-of-nobody")
    assert (row["k"], row["st"], "au" in row) == ("policy-read", 401, False)


async def test_every_row_of_the_trail_names_the_policy_and_the_purpose(house: House) -> None:
    service = await house.registered("system/*.rs", purpose="HRESCH")
    _, (row,) = await left(house, service, "GET", "Patient/ann")
    assert (row["pol"], row["pu"]) == (policy_hash(house.service.settings), "HRESCH")
