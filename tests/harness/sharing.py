"""How processes share the tests (`pytest -n`): what belongs together goes to one of them."""

from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling

__all__ = ["Sharing", "group_of"]

ALONE = frozenset({"test_drills.py"})
"""Files whose tests start everything for themselves: each goes wherever there is time."""
TOGETHER = frozenset({"docs", "e2e", "packages"})
"""Folders whose files each start a whole `tidewire dev`, one at a time, or share what was built."""


def group_of(nodeid: str) -> str:
    """Tests of one group run in one process, in order; by default a file's."""
    name = nodeid.partition("::")[0]
    file = PurePosixPath(name)
    if file.name in ALONE:
        return nodeid
    return str(file.parent) if file.parent.name in TOGETHER else name


class Sharing(LoadScopeScheduling):  # type: ignore[misc] # whose types nobody knows
    """Large groups first, so that small ones fill the time at the end."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
