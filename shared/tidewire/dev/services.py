"""The services of a run: started together, looked after, ended together."""

import time
from typing import Final

from .gateway_node import GatewayNode, NodeEvents
from .infrastructure import Infrastructure
from .options import DevOptions, Example
from .parts import Common, NodePorts, flights_spec, gateway_spec, publisher_spec
from .processes import Child, start_child, stop_children
from .report import Report
from .running import Node, Running, write_running
from .signals import StopRequest
from .steady_part import SteadyPart

__all__ = ["Services"]

LOOK_INTERVAL: Final = 0.05
STOP_TIMEOUT: Final = 3.5


class Services:
    """Gateways, publisher and replay; whatever was started is ended on exit."""

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
        for index in range(self._options.nodes):
            self._gateways.append(self._gateway(index, now))
        self._publisher = SteadyPart(publisher_spec(self._common), now=now)
        self._parts.append(self._publisher)
        if self._options.example is Example.FLIGHTS:
            spec = flights_spec(self._common, self._options.speed)
            self._parts.append(SteadyPart(spec, now=now))
        names = [part.name for part in self._gateways] + [p.child.name for p in self._parts]
        self._report.step("services", f"starting {', '.join(names)}")

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
        if len(nodes) < len(self._gateways) or self._publisher.ready is None:
            return None
        return Running(
            nodes=tuple(nodes),
            publisher=self._publisher.ready["http"],
            kafka=self._ground.bootstrap,
            redis=self._ground.redis_url,
            streams=self._common.data_dir.streams,
        )

    def _up(self, name: str, node: Node) -> None:
        self._report.step(name, f"{node.http} (process {node.pid})")
        running = self._addresses() if self._is_ready else None
        if running is not None:  # it came back: its process has another id
            write_running(self._common.data_dir, running)

    def _down(self, name: str, how: str, pause: float) -> None:
        self._report.warn(f"{name} ended by itself ({how}); it starts again in {pause:.1f} s")
