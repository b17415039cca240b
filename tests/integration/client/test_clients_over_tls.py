"""Clients as people run them against a gateway that speaks TLS with a certificate of one's own CA."""

import asyncio
import json
import os
import shutil
import ssl
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from harness.authority import Authority, make_authority
from harness.gateway import Gateway, MemoryTopics, running_gateway, write_streams
from tidewire.kafka.memory import MemoryBroker
from tidewire_client import Client, NotReadyError, Options
from tidewire_gateway.app import Clients

STREAMS: dict[str, dict[str, Any]] = {
    "flights": {"topic": "flights", "table": True, "public": True}
}
SDK = Path(__file__).parents[3] / "sdk" / "js"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def gateway(authority: Authority, tmp_path: Path) -> AsyncIterator[Gateway]:
    topics = MemoryTopics(MemoryBroker(), STREAMS)
    await topics.publish("flights", "LH400", {"gate": "B42"})
    clients = Clients(reader=topics.broker.reader, admin=topics.broker.admin)
    certificate = await asyncio.to_thread(authority.issue, "gateway")
    streams = write_streams(tmp_path, STREAMS)
    async with running_gateway(streams, clients, certificate=certificate) as running:
        assert running.ws.startswith("wss://")
        yield running


async def output_of(*command: str, **variables: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, stderr=PIPE, env=os.environ | variables
    )
    try:
        async with asyncio.timeout(25):
            out, told = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, out.decode(), told.decode()


def tail(gateway: Gateway, *options: str, **variables: str) -> Any:
    command = [sys.executable, "-m", "tidewire.cli", "tail", "flights", "--json", "--count", "1"]
    return output_of(*command, "--url", gateway.ws, *options, **variables)


async def test_sdk_trusts_whom_it_is_told_to_and_nobody_else(
    gateway: Gateway, authority: Authority
) -> None:
    trust = ssl.create_default_context(cafile=authority.certificate)
    async with Client(gateway.ws, options=Options(ssl=trust)) as client:
        batch = await anext(aiter(await client.subscribe("flights")))
    assert [event.key for event in batch.events] == ["LH400"]
    with pytest.raises(NotReadyError, match="CERTIFICATE_VERIFY_FAILED"):
        async with Client(gateway.ws, options=Options(ready_timeout=0.5)) as client:
            await client.subscribe("flights")


async def test_tail_trusts_the_file_that_is_named(gateway: Gateway, authority: Authority) -> None:
    for how in ("option", "environment"):
        path = str(authority.certificate)
        told = tail(gateway, "--ca-file", path) if how == "option" else None
        code, out, err = await (told or tail(gateway, SSL_CERT_FILE=path))
        assert code == 0, err
        assert json.loads(out)["key"] == "LH400"


@pytest.mark.timeout(60)  # it tries again for ten seconds
async def test_tail_says_how_to_trust_a_certificate_that_it_does_not(gateway: Gateway) -> None:
    code, out, err = await tail(gateway)
    assert (code, out) == (2, "")
    assert "CERTIFICATE_VERIFY_FAILED" in err
    assert "--ca-file" in err


@pytest.mark.parametrize("text", [None, "no certificate"])
async def test_tail_names_a_file_that_holds_no_certificates(
    gateway: Gateway, tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    code, _, err = await tail(gateway, "--ca-file", str(path))
    assert code == 2
    assert "has no certificates to trust" in err.replace("\n", " ")


@pytest.mark.skipif(
    shutil.which("node") is None or not (SDK / "node_modules" / "ws").exists(),
    reason="needs Node.js and `make setup-js`",
)
async def test_javascript_sdk_is_told_by_nodes_own_variable(
    gateway: Gateway, authority: Authority
) -> None:
    program = f"""
import WebSocket from '{SDK}/node_modules/ws/wrapper.mjs';
import {{ Tidewire }} from '{SDK}/src/tidewire.js';
const client = new Tidewire('{gateway.ws}', {{ WebSocket }});
const subscription = client.subscribe('flights');
subscription.on('snapshot', ({{ events }}) => {{
  console.log(JSON.stringify(events.map((event) => event.key)));
  client.close();
}});
client.connect();
"""
    command = ["node", "--input-type=module", "--eval", program]
    code, out, err = await output_of(*command, NODE_EXTRA_CA_CERTS=str(authority.certificate))
    assert (code, out.strip()) == (0, '["LH400"]'), err
