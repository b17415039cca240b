"""Variables that look like ours and that nothing reads (pure)."""

import re
from collections.abc import Iterable, Mapping

from .explain import did_you_mean

__all__ = ["strangers"]

_OURS = "tidewire_"
_WHERE = "docs/settings.md lists what is read"
# What Kubernetes tells every container of a Service that is called tidewire-…
_OF_KUBERNETES = re.compile(r".*_(service_(host|port(_\w+)?)|port_\d+_(tcp|udp)(_\w+)?)$")
_URL = re.compile(r"(tcp|udp)://")


def strangers(
    variables: Mapping[str, str], prefixes: Iterable[str], known: Iterable[str]
) -> list[str]:
    """A sentence for each variable that begins like ours, and is neither ``known`` nor has one of ``prefixes``.

    Those with a prefix are for whoever reads them to judge. Names of ``variables`` are in lower case.
    """
    own, words = tuple(prefix.lower() for prefix in prefixes), tuple(known)
    names = {word.lower() for word in words}
    return [
        f"{name.upper()}: nothing reads it; {did_you_mean(name, words, _WHERE)}"
        for name, value in sorted(variables.items())
        if name.startswith(_OURS)
        and not name.startswith(own)
        and name not in names
        and not _is_of_kubernetes(name, value)
    ]


def _is_of_kubernetes(name: str, value: str) -> bool:
    return bool(_OF_KUBERNETES.fullmatch(name) or (name.endswith("_port") and _URL.match(value)))
