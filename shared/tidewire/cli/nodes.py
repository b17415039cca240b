"""`tidewire nodes`: which gateway nodes the registry knows, and how they are."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from ..dev.options import DEFAULT_DATA_DIR
from .connection import DataDirOption
from .internal_key import InternalKeyOption
from .output import print_json, print_line, print_table, progress
from .registry_location import RegistryOption, registry_client

if TYPE_CHECKING:
    from .registry_client import Node, Nodes

__all__ = ["register"]

_FIGURES = ("connections", "partitions")
"""Of a node's load: clients of all users and of none; partitions that it reads now."""
_HEADINGS = ("node", "slot", "state", "live", "sessions", *_FIGURES, "lease left", "address")
_RIGHT = ("slot", "sessions", *_FIGURES, "lease left")


def register(app: typer.Typer) -> None:
    app.command("nodes")(nodes)


def nodes(
    registry: RegistryOption = None,
    internal_key_file: InternalKeyOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    as_json: Annotated[
        bool, typer.Option("--json", help="The registry's answer, as one JSON line.")
    ] = False,
) -> None:
    """List the gateway nodes that hold an inbox slot, with their leases and load.

    A node that is not live has lost its lease: messages for its users wait in their mailboxes.
    Exit codes: 0 done, whatever the nodes look like; 2 the registry cannot be asked.
    """
    body, found = registry_client(registry, data_dir, internal_key_file).nodes()
    if as_json:
        print_json(body)
        return
    if found.nodes:
        print_table(_table(found))
    print_line(f"{found.slots.used} of {found.slots.total} slots held")
    if found.slots.used == found.slots.total:
        progress().print(
            "a further node gets none: its users' messages come from their mailboxes, seconds late; give the inbox topic "
            "more partitions and set TIDEWIRE_REGISTRY__SLOTS to their number"
        )
    if found.frozen:
        progress().print(
            "leases do not expire: too many would at once, so the registry doubts itself"
        )


def _table(found: "Nodes") -> Table:
    table = Table(box=None, header_style="bold")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right" if heading in _RIGHT else "left")
    for node in found.nodes:
        table.add_row(
            Text(node.node),
            str(node.slot),
            Text(node.state),
            Text("yes", "green") if node.is_live else Text("no", "red"),
            f"{node.sessions:,}",
            *(_figure(node, name) for name in _FIGURES),
            f"{max(node.lease_ms_left, 0) / 1000:.1f} s",
            Text(node.address),
        )
    return table


def _figure(node: "Node", name: str) -> str:
    """Empty where the node does not tell."""
    figure = node.load.get(name)
    return "" if figure is None else f"{figure:,.0f}"
