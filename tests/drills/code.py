"""Which code a process of a drill runs: ours, that of a release, or ours with its formats changed."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from harness.releases import source_roots
from tidewire.dev.processes import ChildSpec

__all__ = ["OURS", "Code", "running"]


@dataclass(frozen=True, slots=True)
class Code:
    """``tree``: where it stands unpacked, None: here. ``patch``: a module that changes it before it serves."""

    tree: Path | None = None
    patch: str | None = None


OURS = Code()


def running(spec: ChildSpec, code: Code) -> ChildSpec:
    """``spec``, whose command is ``… -m MODULE …``, with this code."""
    command = list(spec.command)
    at = len(command) - command[::-1].index("-m")
    launcher, module = command[:at], command[at:]
    if code.patch is not None:
        module = [code.patch, *module]
    if code.tree is None:
        return replace(spec, command=[*launcher, *module])
    paths = [*source_roots(code.tree), spec.environment.get("PYTHONPATH", "")]
    return replace(
        spec,
        command=[*launcher, "drills.from_tree", str(code.tree), *module],
        environment={**spec.environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
