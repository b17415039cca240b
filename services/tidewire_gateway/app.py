"""Composition root of a gateway node: its public application, and what runs beside it."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import FastAPI

from tidewire import __version__
from tidewire.config.streams_file import load_streams
from tidewire.http.public_tls import PublicTls, public_tls
from tidewire.http.token_check import KeyFetching, make_token_check
from tidewire.identity.internal_keys import load_internal_keys
from tidewire.kafka.ports import RecordReader, RecordWriter, TopicAdmin
from tidewire.revocation.reading import RevocationReader
from tidewire.telemetry.metrics import create_metrics
from tidewire.telemetry.tracing import Tracing, configure_tracing, span_counter

from .console.compose import Console
from .core.client_address import TrustedProxies
from .core.history import History
from .core.origins import Origins
from .cross_origin import CrossOrigin
from .daemon_call import call_in_daemon_thread
from .drain import Drain
from .endpoint import make_route
from .instruments import Instruments
from .node import Node
from .openapi_examples import complete_public
from .revocations import known_before, make_revocations
from .routes import make_one_off_router
from .served_files import mounts_of
from .settings import PREFIX, GatewaySettings
from .targeted.service import TargetedParts
from .traces import EventTraces

if TYPE_CHECKING:  # it loads the SDK, which is there only where there are traces
    from tidewire.telemetry.late_spans import SpanBook

__all__ = ["Clients", "create_app"]

_CLOSE_TIMEOUT = 1.0
_GENERATION_0 = 50_000
"""Allocations between two young collections: handshakes make few cycles, and a pass costs all of them."""


@dataclass(frozen=True, slots=True)
class Clients:
    """The clients that a node uses; made when it starts.

    ``targeted`` is given the URL of the node's internal port; None where there are no messages to users. ``writer`` is
    asked for where the console is on.
    """

    reader: Callable[[], RecordReader]
    admin: Callable[[], TopicAdmin]
    targeted: Callable[[str], TargetedParts] | None = None
    writer: Callable[[], RecordWriter] | None = None


def create_app(settings: GatewaySettings, clients: Clients) -> FastAPI:
    """The public application. Raises ``ConfigError`` for streams, keys, certificates or folders that cannot be used."""
    streams = load_streams(settings.streams).streams
    internal_keys = load_internal_keys(settings.internal_key_file)
    served = mounts_of(settings.static)
    origins, proxies = Origins(settings.origins), TrustedProxies(settings.trusted_proxies)
    instruments = Instruments(create_metrics("gateway"))
    check = make_token_check(settings.tokens, settings.token_key_file, PREFIX, instruments.metrics)
    tls = public_tls(settings.tls, PREFIX, instruments.metrics)
    on_spans = span_counter(instruments.metrics)
    tracing = configure_tracing("gateway", settings.node, on_spans=on_spans)
    revocations: RevocationReader | None = None
    if check is not None:
        revocations = make_revocations(settings, clients.reader, instruments.metrics)
    console = _console(settings, clients, instruments)
    spans = None if tracing is None else tracing.book()
    traces = _event_traces(settings, spans, console, instruments)
    if console is not None:
        streams = {**streams, **console.streams}

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        admin = clients.admin()
        node = Node(
            settings.node,
            streams,
            make_reader=clients.reader,
            admin=admin,
            verifier=None if check is None else check.verifier,
            limits=settings.limits.to_limits(),
            history=_history(settings),
            linger=settings.linger,
            topic_poll_interval=settings.topic_poll_interval,
            instruments=instruments,
            targeted=None if clients.targeted is None else clients.targeted(app.state.internal_url),
            traces=traces,
            revocations=revocations,
        )
        app.state.node = node
        app.router.routes.append(make_route(node, origins, proxies))
        app.include_router(make_one_off_router(node.one_off, node.verify, instruments))
        app.router.routes.extend(served)
        drain = Drain(
            node,
            delay=settings.drain_delay,
            window=settings.drain_window,
            on_moving=lambda: _call(app.state.stop_listening),
        )
        app.state.drain = drain
        if console is not None:
            assert traces is not None
            console.begin(node, traces, streams, app.state.internal_url)
        tasks = _begin(node, drain, tls, None if check is None else check.fetching)
        for task in tasks:
            task.add_done_callback(lambda done: _stop(app, done))
        _begin_spans(spans)
        _quieten_collector()
        try:
            yield
        finally:
            await _end(tasks)
            # All of them, whatever becomes of one.
            async with contextlib.AsyncExitStack() as ending:
                ending.push_async_callback(_end_traces, tracing, spans)
                ending.push_async_callback(_close, admin.close)
                if console is not None:
                    ending.push_async_callback(console.end)

    app = FastAPI(
        title="Tidewire gateway",
        version=__version__,
        lifespan=known_before(lifespan, revocations),
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    complete_public(app)
    app.add_middleware(CrossOrigin, origins=origins, on_refused=instruments.one_off_read)
    app.state.instruments = instruments
    app.state.node = None
    app.state.failure = None
    app.state.stop = None
    app.state.stop_listening = None
    app.state.internal_url = ""
    app.state.tls = tls
    app.state.drain = None
    app.state.console = console
    app.state.internal_keys = internal_keys
    return app


def _console(
    settings: GatewaySettings, clients: Clients, instruments: Instruments
) -> Console | None:
    if not settings.console:
        return None
    assert clients.writer is not None
    return Console(settings, clients.writer(), instruments.metrics)


def _event_traces(
    settings: GatewaySettings,
    spans: "SpanBook | None",
    console: Console | None,
    instruments: Instruments,
) -> EventTraces | None:
    """None where nobody wants to know what becomes of sampled events."""
    if spans is None and console is None:
        return None
    return EventTraces(
        spans=spans,
        flows=None if console is None else console.flows.offer,
        most_per_second=settings.trace_limit,
        node=settings.node,
        instruments=instruments,
    )


def _history(settings: GatewaySettings) -> History:
    return History(
        log_window=settings.log_window,
        tombstone_ttl=settings.tombstone_ttl,
        max_bytes=settings.log_bytes,
    )


def _begin(
    node: Node, drain: Drain, tls: PublicTls | None, fetching: KeyFetching | None
) -> list["asyncio.Task[None]"]:
    running = [node.run(), drain.run()]
    if tls is not None:
        running.append(tls.watch())
    if fetching is not None:
        running.append(fetching.run())
    return [asyncio.create_task(task) for task in running]


async def _end(tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def _begin_spans(spans: "SpanBook | None") -> None:
    if spans is not None:
        spans.run_on(asyncio.get_running_loop())


async def _end_traces(tracing: Tracing | None, spans: "SpanBook | None") -> None:
    if tracing is not None and spans is not None:
        spans.close()
        await _close(tracing.close)


async def _close(close: Callable[[], None]) -> None:
    """What may wait for others to answer is not waited for for long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await call_in_daemon_thread(close)


def _stop(app: FastAPI, task: asyncio.Task[None]) -> None:
    """The node has drained, or one of its tasks has failed by a bug: the process ends either way."""
    if task.cancelled():
        return
    app.state.failure = app.state.failure or task.exception()
    _call(app.state.stop)


def _call(callback: Callable[[], None] | None) -> None:
    if callback is not None:
        callback()


def _quieten_collector() -> None:
    """What lives since the start is never garbage: keep the collector away from it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GENERATION_0, 20, 20)
