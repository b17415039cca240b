"""The packages, built once for all tests of this folder."""

import pytest

from integration.packages.building import Built, build


@pytest.fixture(scope="package")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("dist"))
