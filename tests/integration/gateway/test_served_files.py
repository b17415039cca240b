"""Files that a gateway serves: a browser asks anew each time, and is told when nothing has changed."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from integration.gateway.conftest import GatewayMaker
from tidewire.config.errors import ConfigError
from tidewire_gateway.served_files import mounts_of

PAGE = "<!doctype html><title>x</title>"


@pytest.fixture
async def http(make_gateway: GatewayMaker, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    page, sdk = tmp_path / "page", tmp_path / "sdk"
    for folder in (page, sdk):
        folder.mkdir()
    (page / "index.html").write_text(PAGE)
    (sdk / "tidewire.js").write_text("export {};")
    async with (
        make_gateway(static={"/": page, "/sdk/": sdk}) as gateway,
        httpx.AsyncClient(base_url=gateway.http) as client,
    ):
        yield client


@pytest.mark.parametrize("path", ["/", "/index.html", "/sdk/tidewire.js"])
async def test_a_browser_asks_again_before_it_shows_what_it_has(
    http: httpx.AsyncClient, path: str
) -> None:
    for answer in (await http.get(path), await http.head(path)):
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize(
    ("condition", "validator"), [("If-None-Match", "etag"), ("If-Modified-Since", "last-modified")]
)
async def test_what_has_not_changed_is_not_sent_again(
    http: httpx.AsyncClient, condition: str, validator: str
) -> None:
    first = await http.get("/")
    again = await http.get("/", headers={condition: first.headers[validator]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"
    assert again.headers["etag"] == first.headers["etag"]


async def test_what_has_changed_is_sent_again(http: httpx.AsyncClient, tmp_path: Path) -> None:
    first = await http.get("/")
    (tmp_path / "page" / "index.html").write_text(PAGE + "new")
    again = await http.get("/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.text) == (200, PAGE + "new")


async def test_what_is_not_there_is_not_found(http: httpx.AsyncClient) -> None:
    assert (await http.get("/sdk/other.js")).status_code == 404


def test_what_is_no_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^TIDEWIRE_GATEWAY__STATIC: .*/nowhere is no folder: "):
        mounts_of({"/": tmp_path / "nowhere"})
