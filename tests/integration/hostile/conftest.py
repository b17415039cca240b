"""One gateway for all attacks of the run: each must leave it as it was."""

from collections.abc import Iterator

import pytest

from integration.hostile.site import Site, running_site


@pytest.fixture(scope="session")
def site(embedded_kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("hostile"), embedded_kafka) as running:
        yield running


@pytest.fixture(autouse=True)
def _unharmed(site: Site) -> Iterator[None]:
    with site.unharmed():
        yield
