"""`fhir-server shard plan` tells, and `apply` refuses what has no shards."""

from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]


def test_the_plan_is_for_what_is_stored(command: Run) -> None:
    assert command("reindex").code == 0  # makes a record
    told = command("shard", "plan", "--all", "--zone", "home=s1,s2", "--json")
    assert told.code == 0, told.err
    lines = [row["mongosh"] for row in told.json["commands"]]
    assert 'sh.addShardToZone("s2", "home")' in lines
    assert any(line.startswith('sh.shardCollection("cli_') and ".Observation_h" in line for line in lines)
    assert not any(".ValueSet" in line for line in lines)
    assert any("two different patients" in text for text in told.json["limits"])
    stored = command("shard", "plan")
    assert stored.code == 0, stored.err
    assert "Observation" not in stored.out
    assert 'sh.shardCollection("cli_' in stored.out


def test_apply_refuses_a_replica_set(command: Run) -> None:
    refused = command("shard", "apply")
    assert refused.code == 1
    assert "no shards" in refused.err
    assert "mongos" in refused.err


def test_zones_that_share_a_shard_are_refused(command: Run) -> None:
    for options in (("--zone", "home"), ("--zone", "a=s1", "--zone", "b=s1"), ("--zone", "a=s1;drop")):
        refused = command("shard", "plan", *options)
        assert refused.code == 2, options
