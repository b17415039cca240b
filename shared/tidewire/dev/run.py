"""One run of `tidewire dev`: prepare, start Kafka and Redis, make the topics, hand over to the services."""

from pathlib import Path
from typing import Final

from ..http.sdk_files import javascript_sdk
from ..identity.keys import ensure_key
from .data_dir import claimed
from .example import FlightsFiles, flights_files
from .infrastructure import infrastructure
from .options import DevOptions, Included
from .parts import Common
from .ports import free_port, require_free
from .report import Report
from .services import Services
from .signals import StopRequest
from .streams import merged, write_streams
from .topics import make_topics

__all__ = ["run_dev"]

PORT_CURE: Final = "choose another with --port (make: PORT=…), or end that program"


def run_dev(options: DevOptions, report: Report, stop: StopRequest) -> None:
    """Run everything until ``stop``; every part has ended on return.

    Raises a `TidewireError` when something cannot start, or when a part other than a gateway ends.
    """
    if options.port:
        require_free(options.port, PORT_CURE)
    example = flights_files() if options.serves_example else None
    streams = merged(example.streams_file() if example else None, options.streams)
    with claimed(options.data_dir) as data_dir:
        ensure_key(data_dir.token_key)
        report.step("data", f"kept in {data_dir.shown}")
        if options.broker == Included.KAFKA:
            report.step("broker", "starting Apache Kafka (its jars are fetched the first time)")
        with infrastructure(options, data_dir, stop) as ground:
            report.step("broker", f"{options.broker}, answers at {ground.bootstrap}")
            write_streams(data_dir, streams, epoch=ground.epoch)
            report.step("topics", make_topics(ground.bootstrap, streams, ground.topic_overrides))
            common = Common(
                data_dir,
                kafka=ground.bootstrap,
                redis=ground.redis_url,
                registry_port=free_port(),
                static=_static(example),
                epoch=ground.epoch,
                fetch_pause=ground.fetch_pause,
            )
            with Services(options, common, ground, report) as services:
                services.run(stop)


def _static(example: FlightsFiles | None) -> dict[str, Path]:
    static = {} if example is None else {"/": example.dashboard_dir()}
    sdk = javascript_sdk()
    return static if sdk is None else static | {"/sdk/": sdk}
