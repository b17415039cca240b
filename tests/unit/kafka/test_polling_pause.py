"""A broker that answers empty fetches at once is not asked thousands of times a second."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.protocol.fetch import FetchRequest

from tidewire.kafka.aiokafka_tolerance import _Answers, _Tap


class Broker:
    def __init__(self, payload: bytes) -> None:
        self._payload = payload

    async def send(self, _node: Any, _request: Any) -> Any:
        return SimpleNamespace(topics=[("t", [(0, 0, 0, 0, [], self._payload)])])


@pytest.mark.parametrize(("payload", "pauses"), [(b"", 1), (b"records", 0)])
def test_empty_answer_at_once_makes_a_pause(
    payload: bytes, pauses: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("tidewire.kafka.aiokafka_tolerance.asyncio.sleep", sleep)
    tap = _Tap(Broker(payload), _Answers(lambda _: None))
    with pytest.raises(StopIteration):
        tap.send(0, object.__new__(FetchRequest)).send(None)
    assert len(slept) == pauses
