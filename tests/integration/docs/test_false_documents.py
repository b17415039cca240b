"""A document that says what is not so is found out."""

from pathlib import Path

import pytest

from harness.markdown import blocks_of
from integration.docs.site import Site
from integration.docs.test_documents import Reader

FALSE = {
    "a command that fails": "```console\n$ false\n```",
    "output that is not printed": "```console\n$ echo flights partition 1\nflights partition 2\n```",
    "a stream that is not there": "```console\n$ tidewire publish flihgts --key a --data 1\n```",
    "an option that dev has not": "```console\n$ tidewire dev --stream streams.yaml\n```",
    "a target that make has not": "```console\n$ make rum\n```",
    "a variable that make has not": "```console\n$ make run PROT=9000\n```",
    "an error in Python": "```python\nfrom tidewire.publishing import Publishr\n```",
    "an error in JavaScript": "```js\nimport { Tidewyre } from 'tidewire';\n```",
    "JSON that is none": "```json\n{'key': 1}\n```",
    "an event without its key": '```json\n{"key": "", "data": 1}\n```',
    "a request that is refused": '```json client\n{"v":1,"type":"subscribe","payload":{}}\n```',
    "streams that are refused": "```yaml\nstreams: {orders: {topics: orders}}\n```",
    "a frame that does not come": "```websocket\n"
    '> {"v":1,"type":"hello","id":1,"payload":{"client":"a"}}\n'
    '< {"v":1,"type":"welcome","id":1,"payload":{}}\n```',
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", FALSE)
def test_what_is_not_so_is_found_out(name: str, site: Site, tmp_path: Path) -> None:
    reader = Reader("docs/false.md", site.at(tmp_path / "clone"))

    faults = reader.read(blocks_of(FALSE[name]))

    assert len(faults) == 1, faults
    assert faults[0].startswith("docs/false.md:2: ")
