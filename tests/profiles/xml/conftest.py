"""A reader and a writer on the definitions that are shipped."""

import pytest

from profiles.definitions.registry import Definitions
from profiles.xml.reader import Reader
from profiles.xml.writer import Writer


@pytest.fixture(scope="session")
def reader(definitions: Definitions) -> Reader:
    return Reader(definitions)


@pytest.fixture(scope="session")
def writer(definitions: Definitions) -> Writer:
    return Writer(definitions)
