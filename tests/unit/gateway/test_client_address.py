"""Where a request comes from, and whose word is taken for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire_gateway.core.client_address import TrustedProxies, group_of

TRUSTED = TrustedProxies(["10.0.0.0/8", "192.0.2.7", "2001:db8:1::/48"])
OUTSIDE = "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "lines", "client"),
    [
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 10.2.3.4, 192.0.2.7"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1", "10.2.3.4"], "198.51.100.1"),  # as one list
        (
            "10.0.0.1",
            ["1.1.1.1, 198.51.100.1"],
            "198.51.100.1",
        ),  # the left one is the client's word
        ("10.0.0.1", ["10.0.0.3,10.0.0.2"], "10.0.0.3"),  # proxies alone
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::9]:4711"], "2001:db8::9"),
        ("10.0.0.1", ["[2001:db8::9]"], "2001:db8::9"),
        ("10.0.0.1", ["2001:db8::9"], "2001:db8::9"),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("2001:db8:1::5", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        (OUTSIDE, ["198.51.100.1"], OUTSIDE),
        ("unknown", ["198.51.100.1"], "unknown"),
    ],
)
def test_list_is_believed_as_far_as_trusted_proxies_wrote_it(
    peer: str, lines: list[str], client: str
) -> None:
    assert TRUSTED.client_of(peer, lines) == client


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "unknown",
        "_hidden",
        "1.2.3",
        "1.2.3.4:x",
        "[::1",
        "[::1]x",
        "[::1]80",
        "::1::",
        "1.2.3.4:",
    ],
)
def test_malformed_entry_ends_at_the_last_address_that_can_be_trusted(entry: str) -> None:
    assert TRUSTED.client_of("10.0.0.1", [f"198.51.100.1, {entry}, 10.0.0.2"]) == "10.0.0.2"
    assert TRUSTED.client_of("10.0.0.1", [f"198.51.100.1, {entry}"]) == "10.0.0.1"


def test_nobody_is_trusted_unless_he_is_named() -> None:
    assert TrustedProxies().client_of("127.0.0.1", ["198.51.100.1"]) == "127.0.0.1"


def test_long_list_of_trusted_addresses_is_not_followed_without_end() -> None:
    assert TRUSTED.client_of("10.0.0.1", ["198.51.100.1," + "10.0.0.2," * 5000 + "10.0.0.3"]) == (
        "10.0.0.2"
    )


@given(st.text(max_size=60), st.ip_addresses(v=4).map(str))
def test_whatever_a_client_writes_its_address_is_the_one_the_proxy_saw(
    written: str, seen: str
) -> None:
    proxies = TrustedProxies(["127.0.0.1"])
    if seen == "127.0.0.1":
        return
    assert proxies.client_of("127.0.0.1", [f"{written}, {seen}"]) == seen
    assert proxies.client_of(seen, [written]) == seen


@given(st.lists(st.text(max_size=60), max_size=4))
def test_any_list_has_an_answer_that_is_an_address(lines: list[str]) -> None:
    client = TRUSTED.client_of("10.0.0.1", lines)
    assert TrustedProxies([client]).client_of(client, []) == client


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::1", "2001:db8:0:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("unknown", "unknown"),
        (":", ":"),
    ],
)
def test_limits_are_those_of_an_ipv4_address_or_of_a_64_bit_network(
    address: str, group: str
) -> None:
    assert group_of(address) == group


@pytest.mark.parametrize("network", ["10.0.0.1/8", "example.org", "", "10.0.0.0/33"])
def test_what_is_no_network_is_refused(network: str) -> None:
    with pytest.raises(ValueError, match=network.replace(".", r"\.") or "''"):
        TrustedProxies([network])
