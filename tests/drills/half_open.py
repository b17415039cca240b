"""A process with a fault proxy: ``python -m drills.half_open PORT``; at SIGUSR1 its links are cut, and nobody is told.

Its ready line says the port to connect to.
"""

import asyncio
import json
import signal
import sys

from harness.faults import fault_proxy

__all__ = ["main"]


async def main(port: int) -> None:
    stopped, silent = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    loop.add_signal_handler(signal.SIGUSR1, silent.set)
    async with fault_proxy(port) as proxy, asyncio.TaskGroup() as tasks:
        sys.stdout.write(json.dumps({"event": "ready", "port": proxy.port}) + "\n")
        sys.stdout.flush()

        async def fall_silent() -> None:
            await silent.wait()
            proxy.cut()

        waiting = tasks.create_task(fall_silent())
        await stopped.wait()
        waiting.cancel()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
