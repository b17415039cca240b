"""The run that documents are tried on."""

from collections.abc import Iterator

import pytest

from integration.docs.site import Site, running_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("documents")) as site:
        yield site
