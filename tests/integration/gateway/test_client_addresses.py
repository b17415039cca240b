"""Whose address a node takes for a client's: the peer's, or what proxies that it trusts say."""

from pathlib import Path
from typing import Any

import pytest
import websockets

from harness.certificate import make_certificate
from harness.gateway import Gateway
from tidewire_gateway.proxies import warn_of_one_address
from tidewire_gateway.settings import GatewaySettings, LimitSettings

PROXY = ("127.0.0.4", 0)
ONE = {"connections_per_address": 1}


async def is_refused(gateway: Gateway, *lines: str) -> bool:
    """Whether the proxy's client, by these lines, is at its limit."""
    headers = [("X-Forwarded-For", line) for line in lines]
    status = 101
    try:
        async with gateway.connect(local_addr=PROXY, additional_headers=headers):
            pass
    except websockets.InvalidStatus as refused:
        status = refused.response.status_code
    assert status in {101, 429}
    return status == 429


async def test_clients_behind_a_trusted_proxy_have_limits_of_their_own(make_gateway: Any) -> None:
    async with (
        make_gateway(limits=ONE, trusted_proxies=("127.0.0.4", "10.0.0.0/8")) as gateway,
        gateway.connect(local_addr=PROXY, additional_headers={"X-Forwarded-For": "198.51.100.1"}),
    ):
        assert await is_refused(gateway, "198.51.100.1")
        assert not await is_refused(gateway, "198.51.100.2")
        assert await is_refused(gateway, "198.51.100.1, 10.2.3.4")  # a second proxy
        assert await is_refused(
            gateway, "6.6.6.6, 198.51.100.1"
        )  # what the client itself has written
        assert await is_refused(gateway, "6.6.6.6", "198.51.100.1")
        assert not await is_refused(gateway)  # the proxy itself


async def test_network_of_an_ipv6_customer_is_one_address(make_gateway: Any) -> None:
    async with (
        make_gateway(limits=ONE, trusted_proxies=("127.0.0.4",)) as gateway,
        gateway.connect(
            local_addr=PROXY, additional_headers={"X-Forwarded-For": "2001:db8:0:1::1"}
        ),
    ):
        assert await is_refused(gateway, "2001:db8:0:1:abcd::2")
        assert not await is_refused(gateway, "2001:db8:0:2::1")


async def test_clients_of_a_node_that_speaks_tls_are_told_apart(
    make_gateway: Any, tmp_path: Path
) -> None:
    certificate = make_certificate(tmp_path)
    trust = certificate.client_context()
    async with (
        make_gateway(limits=ONE, certificate=certificate) as gateway,
        gateway.connect(local_addr=("127.0.0.5", 0), ssl=trust),
        gateway.connect(local_addr=("127.0.0.6", 0), ssl=trust),
    ):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with gateway.connect(local_addr=("127.0.0.5", 0), ssl=trust):
                pass
    assert refused.value.response.status_code == 429


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
async def test_nobody_else_is_believed(make_gateway: Any, header: str) -> None:
    """From loopback above all, which the web server would have trusted."""
    told = {header: "for=198.51.100.1" if header == "Forwarded" else "198.51.100.1"}
    for peer in (("127.0.0.1", 0), ("127.0.0.5", 0)):
        async with (
            make_gateway(limits=ONE, trusted_proxies=("127.0.0.4",)) as gateway,
            gateway.connect(local_addr=peer, additional_headers=told),
        ):
            with pytest.raises(websockets.InvalidStatus):
                async with gateway.connect(local_addr=peer):
                    pass


@pytest.mark.parametrize(
    ("options", "is_warned"),
    [
        ({"trust_proxy_tls": True}, True),
        ({"trust_proxy_tls": True, "trusted_proxies": ("10.0.0.0/8",)}, False),
        (
            {
                "trust_proxy_tls": True,
                "limits": LimitSettings(connections_per_address=0, address_handshakes_per_second=0),
            },
            False,
        ),
        ({"dev": True}, False),
    ],
)
def test_node_behind_a_proxy_that_it_does_not_trust_warns(
    caplog: pytest.LogCaptureFixture, options: dict[str, Any], is_warned: bool
) -> None:
    warn_of_one_address(GatewaySettings(streams=Path("streams.yaml"), **options))
    assert ("TIDEWIRE_GATEWAY__TRUSTED_PROXIES" in caplog.text) is is_warned
