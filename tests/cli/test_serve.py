"""`fhir-server serve`: where it listens, how it starts with several processes, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from pymongo import MongoClient

from fhir_server.model import json
from tests.processes import Nursery

SERVE = [sys.executable, "-c", "from fhir_server.cli import app; app()", "serve"]


@pytest.fixture
def environment(data_dir: Path, mongo_url: SecretStr) -> Iterator[dict[str, str]]:
    """Settings of a server on the shared mongod, with a database of its own."""
    database = f"test_{uuid4().hex[:16]}"
    yield os.environ | {
        "FHIR_DATA_DIR": str(data_dir), "FHIR_MONGO__DATABASE": database, "FHIR_MONGO__CACHE_GB": "0.25"
    }  # fmt: skip
    with MongoClient[dict[str, Any]](mongo_url.get_secret_value()) as client:
        client.drop_database(database)
        client.drop_database(f"{database}_audit")


@contextmanager
def serving(environment: dict[str, str], *options: str) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """Start a server; yield its process and what it announced. It is gone afterwards, whatever happens."""
    with subprocess.Popen(
        [*SERVE, "--port", "0", "--json", *options], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert said, process.communicate()[1].decode()
            yield process, json.decode(said)
        finally:
            if process.poll() is None:
                process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(environment: dict[str, str], number: int) -> None:
    with serving(environment) as (process, said):
        assert said["fhir"] == f"{said['url']}/fhir"
        assert (said["workers"], said["auth"]) == (1, "open")
        assert httpx.get(f"{said['url']}/health/ready").json() == {"status": "ready"}
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors.decode()
        assert b"Traceback" not in errors
        levels = {json.decode(line)["level"] for line in errors.splitlines()}
        assert levels == {"info"}, errors.decode()


def test_several_processes_answer_and_a_killed_one_is_replaced(environment: dict[str, str]) -> None:
    with serving(environment, "--workers", "2") as (process, said):
        assert said["workers"] == 2
        assert httpx.get(f"{said['fhir']}/Organization/root").status_code == 200
        before = workers(process.pid)
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        deadline = time.monotonic() + 60
        while len(set(workers(process.pid)) - {before[0]}) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(set(workers(process.pid)) - {before[0]}) == 2
        for _ in range(5):
            assert httpx.get(f"{said['fhir']}/Organization/root", timeout=30).status_code == 200
        assert f'worker="{before[0]}"' not in (text := httpx.get(f"{said['url']}/metrics").text)
        assert 'fhir_requests_in_flight{worker="' in text
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_what_a_command_takes_back_is_refused_by_the_next_request_on_every_process(
    environment: dict[str, str], nursery: Nursery
) -> None:
    smart = {**environment, "FHIR_AUTH__MODE": "smart"}

    def run(*words: str) -> str:
        done = nursery.run(*words, environment=smart)
        assert done.code == 0, done.err
        return done.out.strip()

    with serving(smart, "--workers", "2") as (process, said):
        run("user", "add", "nurse", "--name", "Nurse", "--kind", "staff", "--print-link")
        header = {"Authorization": f"Bearer {run('token', '--user', 'nurse')}", "Connection": "close"}

        def statuses() -> set[int]:
            return {httpx.get(f"{said['fhir']}/Patient", headers=header).status_code for _ in range(12)}

        assert statuses() == {200}
        run("user", "disable", "nurse")
        assert statuses() == {401}
        process.terminate()
        process.communicate(timeout=60)


def workers(parent: int) -> list[int]:
    """Return the server processes below a process: those that serve, not what multiprocessing keeps beside them."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == parent and b"spawn_main" in command and fields[0] != "Z":
            found.append(int(status.parent.name))
    return sorted(found)


def test_an_open_server_does_not_leave_the_machine(environment: dict[str, str]) -> None:
    run = subprocess.run([*SERVE, "--host", "0.0.0.0"], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "Open mode" in run.stderr
    assert "--host 127.0.0.1" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_port_that_is_taken_is_named_before_anything_is_started(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        run = subprocess.run([*SERVE, "--port", port], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in run.stderr
    assert "--port" in run.stderr


def test_says_what_to_try_and_warns_of_the_open_door(environment: dict[str, str]) -> None:
    with subprocess.Popen(
        [*SERVE, "--port", "0"], env=environment | {"COLUMNS": "200"}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        lines: list[bytes] = []
        while not lines or b"Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], b"".join(lines).decode()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    said = b"".join(lines).decode()
    assert "Open mode: nobody has to sign in" in said
    for path in ("/docs", "/fhir/metadata", "/fhir/Patient?_count=5", "/metrics"):
        assert path in said


def test_a_database_that_is_not_there_is_told_in_one_sentence(environment: dict[str, str]) -> None:
    away = {"FHIR_MONGO__URL": "mongodb://127.0.0.1:1/?replicaSet=rs0&serverSelectionTimeoutMS=300"}
    run = subprocess.run([*SERVE, "--port", "0"], env=environment | away, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "error" in run.stderr
    assert "Traceback" not in run.stderr


def test_what_is_in_brackets_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remedy such as pip install 'aquifer[embedded]' must not lose its half as markup."""
    monkeypatch.setenv("FHIR_MONGO__BINARY", str(tmp_path / "nothing"))
    monkeypatch.delenv("FHIR_MONGO__URL", raising=False)
    run = subprocess.run(
        [*SERVE, "--port", "0", "--data-dir", str(tmp_path / "data")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "pip install 'aquifer[embedded]'" in run.stderr
