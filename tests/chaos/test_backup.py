"""A backup taken while a server writes, restored elsewhere: what was acknowledged before it is there, and nothing is there by halves."""

import copy
import getpass
import os
import shutil
import signal
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server.settings import Mongo, Settings
from fhir_server.store.client import connect
from fhir_server.store.embedded import embedded
from tests.chaos.writers import Writers
from tests.processes import Nursery

WRITES = 40
LARGE = 2 * 2**20
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder that lives no longer than the test: its databases take hundreds of megabytes."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def environment(data_dir: Path, **more: str) -> Mapping[str, str]:
    settings = {"FHIR_DATA_DIR": str(data_dir), "FHIR_MONGO__CACHE_GB": "0.25", "FHIR_AUDIT__MODE": "on"}
    return {**os.environ, **settings, **more}


async def test_a_backup_of_a_busy_server_is_restored_whole(nursery: Nursery, home: Path) -> None:
    (home / "passphrase").write_text("correct horse battery\n")
    words = ("--passphrase-file", home / "passphrase", "--json")
    there = environment(home / "a", FHIR_AUTH__SECRET=SECRET)
    smart = {"FHIR_AUTH__MODE": "smart", "FHIR_SERVER__BASE_URL": "http://127.0.0.1/fhir"}
    with nursery.serving(environment=there) as (server, said):
        binary = {"resourceType": "Binary", "id": "large", "contentType": "text/plain", "data": "YWJj" * (LARGE // 4)}
        async with httpx.AsyncClient(timeout=60) as http:
            assert (await http.put(f"{said['fhir']}/Binary/large", json=binary)).status_code == 201
        before_all = {**there, **smart}
        link = ("--name", "N", "--kind", "staff", "--print-link")
        assert nursery.run("user", "add", "nurse", *link, environment=before_all).code == 0
        token = nursery.run("token", environment=before_all).out.strip()
        writers = Writers(said["fhir"])
        async with writers.at_work():
            await writers.more(WRITES)
            before = copy.copy(writers)
            for name, value in vars(writers).items():
                if isinstance(value, dict | set):
                    setattr(before, name, copy.copy(value))
            taken = nursery.start("backup", home / "file", *words, environment=there)
            assert await taken.ended() == 0
            during = writers.acknowledged - before.acknowledged
            await writers.more(1)
        assert during, "nothing was written meanwhile"
        server.send(signal.SIGTERM)
        assert server.wait() == 0

    elsewhere = environment(home / "b")
    restored = nursery.run("restore", home / "file", "--verify", *words, environment=elsewhere)
    assert restored.code == 0, restored.err
    assert restored.json["verified"] is True
    secrets = home / "b" / "secrets"
    assert (secrets / "restored" / "fhir_auth__secret").read_text() == SECRET
    assert (secrets / "audit.pem").read_bytes() == (home / "a" / "secrets" / "audit.pem").read_bytes()

    verified = nursery.run("audit", "verify", "--json", environment=elsewhere)
    assert verified.code == 0, verified.out + verified.err
    settings = Settings(data_dir=home / "b", mongo=Mongo(cache_gb=0.25))
    async with embedded(settings) as connection, connect(connection.url, settings) as client:
        record: Any = client[settings.mongo.database]
        await before.compare(record)
        counts = {row["name"]: row["documents"] for row in restored.json["collections"]}
        assert counts["blobs.chunks"] == await record["blobs.chunks"].count_documents({}) > 0
        assert counts["Patient"] == await record["Patient"].count_documents({})
        events = client[f"{settings.mongo.database}_audit"]["events"]
        (begun,) = await events.find({"k": "backup"}).to_list()
        (done,) = await events.find({"k": "restore"}).to_list()
        assert begun["x"] == {"file": "file"}
        assert (done["a"], done["x"]["taken"]) == ("C", restored.json["taken"])
    started = {**environment(home / "b", FHIR_SECRETS=str(secrets / "restored")), **smart}
    assert "nurse" in nursery.run("user", "list", "--json", environment=started).out
    with nursery.serving(environment=started) as (server, said):
        headers = {"Accept": "application/fhir+json", "Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(timeout=60, headers=headers) as http:
            answer = await http.get(f"{said['url']}/fhir/Binary/large")
            assert answer.json().get("data") == binary["data"], answer.text[:400]
            told = (await http.get(f"{said['url']}/fhir/AuditEvent", params={"subtype": "backup,restore"})).json()
            assert [one["resource"]["type"]["display"] for one in told["entry"]] == ["Import", "Export"]
            for entry in told["entry"]:
                (who,) = [agent["who"]["display"] for agent in entry["resource"]["agent"] if agent["requestor"]]
                assert who == f"{getpass.getuser()} on {socket.gethostname()}"
        server.send(signal.SIGTERM)
        assert server.wait() == 0
