"""The services of a run: started together, looked after, ended together."""

import time
from dataclasses import replace
from typing import Final

from .example import page_told
from .gateway_node import GatewayNode, NodeEvents
from .infrastructure import Infrastructure
from .options import DevOptions, Example
from .parts import (
    Common,
    NodePorts,
    flights_spec,
    following_spec,
    gateway_spec,
    publisher_spec,
    registry_spec,
    router_spec,
)
from .ports import free_port
from .processes import Child, ChildSpec, start_child, stop_children
from .report import Report
from .running import Node, Running, write_running
from .signals import StopRequest
from .steady_part import SteadyPart

__all__ = ["Services"]

LOOK_INTERVAL: Final = 0.05
STOP_TIMEOUT: Final = 3.5


class Services:
    """Gateways, registry, router, publisher and replay; whatever was started is ended on exit."""

    def __init__(
        self, options: DevOptions, common: Common, ground: Infrastructure, report: Report
    ) -> None:
        self._options = options
        self._common = common
        self._ground = ground
        self._report = report
        self._gateways: list[GatewayNode[Child]] = []
        self._parts: list[SteadyPart] = []
        self._is_ready = False

    def __enter__(self) -> "Services":
        return self

    def __exit__(self, *_: object) -> None:
        children = [part.child for part in self._parts]
        children += [gateway.child for gateway in self._gateways]
        stop_children(children, STOP_TIMEOUT)

    def run(self, stop: StopRequest) -> None:
        """Start everything and look after it until ``stop``."""
        self._start()
        while not stop.wait(LOOK_INTERVAL):
            self._tick(time.monotonic())

    def _start(self) -> None:
        now = time.monotonic()
        example = self._example()
        for index in range(self._options.nodes):
            self._gateways.append(self._gateway(index, now))
        self._registry = SteadyPart(registry_spec(self._common), now=now)
        self._publisher = SteadyPart(publisher_spec(self._common), now=now)
        router = SteadyPart(router_spec(self._common), now=now)
        self._parts += [self._registry, router, self._publisher]
        self._parts += [SteadyPart(spec, now=now) for spec in example]
        names = [part.name for part in self._gateways] + [p.child.name for p in self._parts]
        self._report.step("services", f"starting {', '.join(names)}")

    def _example(self) -> list[ChildSpec]:
        """The example's processes, which the gateways' pages are told of."""
        if self._options.example is not Example.FLIGHTS:
            return []
        port = free_port()
        static = {**self._common.static, **page_told(self._common.data_dir, port)}
        self._common = replace(self._common, static=static)
        replay = flights_spec(self._common, self._options.speed)
        return [replay, following_spec(self._common, port)]

    def _gateway(self, index: int, now: float) -> GatewayNode[Child]:
        name = f"gateway-{index + 1}"

        def start(ports: NodePorts) -> Child:
            return start_child(gateway_spec(self._common, name, ports))

        ports = NodePorts(self._options.port if index == 0 else 0)
        return GatewayNode(name, start, NodeEvents(self._up, self._down), ports=ports, now=now)

    def _tick(self, now: float) -> None:
        for child in self._ground.children:
            if child.exit_code() is not None:
                raise child.failure(f"ended by itself ({child.describe_end()})")
        for gateway in self._gateways:
            gateway.tick(now)
        for part in self._parts:
            if part.tick(now):
                self._report.step(part.child.name, f"runs (process {part.child.pid})")
        if not self._is_ready:
            self._look_for_ready()

    def _look_for_ready(self) -> None:
        running = self._addresses()
        if running is not None and all(part.ready for part in self._parts):
            self._is_ready = True
            write_running(self._common.data_dir, running)
            self._report.ready(running, self._common.data_dir)

    def _addresses(self) -> Running | None:
        """None while a part has yet to say where it answers."""
        nodes = [gateway.node for gateway in self._gateways if gateway.node is not None]
        if len(nodes) < len(self._gateways) or not (self._publisher.ready and self._registry.ready):
            return None
        return Running(
            nodes=tuple(nodes),
            publisher=self._publisher.ready["http"],
            kafka=self._ground.bootstrap,
            redis=self._ground.redis_url,
            streams=self._common.data_dir.streams,
            registry=self._registry.ready["http"],
        )

    def _up(self, name: str, node: Node) -> None:
        self._report.step(name, f"{node.http} (process {node.pid})")
        running = self._addresses() if self._is_ready else None
        if running is not None:  # it came back: its process has another id
            write_running(self._common.data_dir, running)

    def _down(self, name: str, how: str, pause: float) -> None:
        self._report.warn(f"{name} ended by itself ({how}); it starts again in {pause:.1f} s")
