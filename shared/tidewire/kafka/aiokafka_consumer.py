"""How aiokafka is told to be a member of a group."""

import asyncio
import contextlib
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from .groups import GroupMembership
from .oauth import token_source
from .settings import KafkaSettings

__all__ = ["consumer_settings", "rest_between_fetches"]

_NEVER: Final = 24 * 3600.0


def consumer_settings(settings: KafkaSettings, membership: GroupMembership) -> dict[str, Any]:
    """Keyword arguments of a consumer that commits by hand, and says where its offsets are not in the log."""
    # aiokafka keeps an assignor's memory in its class, where readers of one process would share it.
    assignor = type("StickyAssignor", (StickyPartitionAssignor,), {})
    common = settings.aiokafka_common() | token_source(settings.security)
    return common | {
        "group_id": membership.group_id,
        "group_instance_id": membership.instance_id,
        "session_timeout_ms": _ms(membership.session_timeout),
        "heartbeat_interval_ms": _ms(membership.heartbeat_interval),
        "rebalance_timeout_ms": _ms(membership.rebalance_timeout),
        "max_poll_interval_ms": _ms(_NEVER),  # who waits for a store stays: the others wait too
        "partition_assignment_strategy": (assignor,),
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "check_crcs": True,
        "fetch_max_wait_ms": _ms(settings.fetch_wait),
        "fetch_max_bytes": settings.fetch_bytes,
        "max_partition_fetch_bytes": settings.partition_fetch_bytes,
    }


def rest_between_fetches(consumer: AIOKafkaConsumer, pause: float) -> None:
    """Let a consumer that has started rest so many seconds whenever nothing is there.

    Against a broker without long polls it would ask as fast as it can, at the cost of a sixth of a core.
    """
    fetcher = consumer._fetcher
    ask = fetcher._proc_fetch_request

    async def ask_and_rest(*question: Any) -> bool:
        is_something_there: bool = await ask(*question)
        if not is_something_there:
            with contextlib.suppress(asyncio.CancelledError):  # as the one that it stands for does
                await asyncio.sleep(pause)
        return is_something_there

    fetcher._proc_fetch_request = ask_and_rest


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
