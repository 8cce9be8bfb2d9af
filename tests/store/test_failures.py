"""What the driver raises while the primary changes is an answer that says so, and no fault."""

import pytest
from pymongo.errors import (
    AutoReconnect,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
    WriteError,
    WTimeoutError,
)

from fhir_server.model.errors import Unavailable
from fhir_server.store.failures import expected


@pytest.mark.parametrize("code", [91, 189, 10107, 11600, 11602, 13435])
def test_an_operation_that_the_old_primary_has_cut_off_is_to_be_sent_again(code: int) -> None:
    for error in (OperationFailure("operation was interrupted", code), WriteError("not primary", code)):
        found = expected(error)
        assert isinstance(found, Unavailable)
        assert "Send the request again" in str(found)


@pytest.mark.parametrize("error", [WTimeoutError("waiting", 64), WriteConcernError("interrupted", 11602)])
def test_of_a_write_that_no_majority_has_confirmed_it_is_said_that_nobody_knows(error: PyMongoError) -> None:
    found = expected(error)
    assert isinstance(found, Unavailable)
    assert "not known whether" in str(found)


def test_a_connection_that_broke_is_no_fault_and_a_wrong_command_is_one() -> None:
    assert isinstance(expected(AutoReconnect("gone")), Unavailable)
    wrong = OperationFailure("unknown operator: $foo", 2)
    assert expected(wrong) is wrong
