"""The cluster that the tests share."""

from collections.abc import Iterator

import pytest
from cluster import Cluster, running_cluster, why_not


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A Slurm of this module's own, gone with it."""
    with running_cluster() as cluster:
        yield cluster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = why_not()
    for item in items:
        if item.get_closest_marker("slurm") and reason:
            item.add_marker(pytest.mark.skip(reason=reason))
