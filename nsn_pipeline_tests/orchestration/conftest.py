"""What tests of definitions share."""

from collections.abc import Iterator

import pytest
from dagster._core.storage.defs_state.base import set_defs_state_storage


@pytest.fixture(autouse=True)
def no_instance_of_another_test() -> Iterator[None]:
    """Definitions made outside an instance must not look for the last one that was opened.

    Instances of modules and sessions end in any order, and Dagster then takes one for current that
    is gone.
    """
    with set_defs_state_storage(None):
        yield
