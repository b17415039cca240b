"""Which nodes `tidewire bench` measures, on which channel, and as whom."""

from collections.abc import Sequence
from pathlib import Path

from ..bench.errors import PlanError
from ..bench.live.sites import MetricsMeter, ProcessMeter, Site, check_url
from ..config.streams_file import load_streams
from ..dev.data_dir import DataDir
from ..dev.running import Running, read_running
from ..identity.keys import load_key
from ..identity.rights import Action

__all__ = ["default_channel", "found_sites", "made_tokens"]

EXAMPLE = "flights"
UNMETERED = "to see CPU and memory, name each node's internal port with --internal http://HOST:PORT"


def found_sites(urls: Sequence[str], internals: Sequence[str], data_dir: Path) -> list[Site]:
    """The given addresses, else the nodes of the `tidewire dev` that runs in ``data_dir``.

    Raises `PlanError` that names the options where there is neither.
    """
    running = read_running(data_dir)
    if urls:
        _check(urls)
        return _metered(urls, internals) if internals else _named(urls, running)
    if running is None:
        raise PlanError(
            f"no `tidewire dev` runs in {data_dir}: start one, name its directory with --data-dir, "
            "or name the nodes to measure with --url ws://HOST:PORT/v1/ws"
        )
    if internals:
        raise PlanError("--internal: goes with --url; the nodes of a `tidewire dev` are known")
    return [Site(node.ws, [ProcessMeter(node.pid)]) for node in running.nodes]


def default_channel(data_dir: Path) -> str:
    """The example's stream, or the only one of the run; raises `PlanError` with the streams there are."""
    running = read_running(data_dir)
    if running is None:
        raise PlanError("name the CHANNEL to measure: STREAM or STREAM/GROUP")
    streams = list(load_streams(running.streams).streams)
    if EXAMPLE in streams:
        return EXAMPLE
    if len(streams) == 1:
        return streams[0]
    raise PlanError(f"name the CHANNEL to measure; the streams are {', '.join(sorted(streams))}")


def made_tokens(
    sites: Sequence[Site], connections: int, data_dir: Path, *, ttl: float
) -> list[str]:
    """A token of its own for each connection, where all sites are nodes of the run in ``data_dir``."""
    running = read_running(data_dir)
    if running is None or not _is_run(running, sites):
        return []
    path = DataDir(data_dir).token_key
    if not path.exists():
        return []
    from ..identity.issuing import issue_token  # what it needs is there where a run is

    key, caps = load_key(path), {"**": [Action.SUBSCRIBE]}
    return [issue_token(key, f"bench-{number}", caps, ttl=ttl) for number in range(connections)]


def _is_run(running: Running, sites: Sequence[Site]) -> bool:
    return {site.url for site in sites} <= {node.ws for node in running.nodes}


def _check(urls: Sequence[str]) -> None:
    for url in urls:
        check_url(url)
    if len(set(urls)) < len(urls):
        raise PlanError("--url: an address is given twice; one is enough")


def _metered(urls: Sequence[str], internals: Sequence[str]) -> list[Site]:
    meters = [MetricsMeter(internal) for internal in internals]
    if len(urls) == 1:
        return [Site(urls[0], meters)]
    if len(meters) != len(urls):
        raise PlanError(
            f"--internal: {len(meters)} for {len(urls)} of --url: give one for each, in the same order"
        )
    return [Site(url, [meter]) for url, meter in zip(urls, meters, strict=True)]


def _named(urls: Sequence[str], running: Running | None) -> list[Site]:
    """Sites without metrics; a node of the run is known by its process."""
    pids = {} if running is None else {node.ws: node.pid for node in running.nodes}
    return [
        Site(url, [ProcessMeter(pids[url])]) if url in pids else Site(url, unmetered=UNMETERED)
        for url in urls
    ]
