"""What holds for every test, and their order: shuffled, but the long modules first.

Two workers that take one module after the other (`make test`) then end at about the same time: what
is left at the end is short.
"""

import pytest
from hypothesis import settings

# No example may take too long: speed is measured by `make bench`, and machines are shared.
settings.register_profile("nsn", deadline=None, print_blob=True)
settings.load_profile("nsn")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)  # keeps the order of each half
