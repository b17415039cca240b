"""`tidewire user`: where a user is connected; ends those connections on demand."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from ..dev.options import DEFAULT_DATA_DIR
from ..targeting.users import check_user
from .connection import DataDirOption
from .internal_key import InternalKeyOption
from .output import print_json, print_line, print_table, progress
from .registry_location import RegistryOption, registry_client

if TYPE_CHECKING:
    from .registry_client import Device, RegistryClient, UserDevices

__all__ = ["register"]

UNTOLD = 1


def register(app: typer.Typer) -> None:
    app.command("user")(user)


def user(
    user: Annotated[str, typer.Argument(help="The user's id, as tokens have it.")],
    disconnect: Annotated[
        bool, typer.Option("--disconnect", help="Close all its connections.")
    ] = False,
    registry: RegistryOption = None,
    internal_key_file: InternalKeyOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    as_json: Annotated[
        bool, typer.Option("--json", help="The registry's answer, as one JSON line.")
    ] = False,
) -> None:
    """Tell where a user is connected, or with --disconnect close its connections.

    Exit codes: 0 done, also where the user is not connected; 1 a node could not be told to close
    some; 2 the registry cannot be asked.
    """
    check_user(user)
    client = registry_client(registry, data_dir, internal_key_file)
    if disconnect:
        _disconnect(client, user, as_json=as_json)
    else:
        _tell(client, user, as_json=as_json)


def _disconnect(client: "RegistryClient", user: str, *, as_json: bool) -> None:
    body, ended = client.disconnect(user)
    untold = [node for node in ended.nodes if node.error is not None]
    if as_json:
        print_json(body)
    else:
        connections = (
            "1 connection" if ended.connections == 1 else f"{ended.connections} connections"
        )
        print_line(f"{connections} of {user} closed")
        for node in untold:
            progress().print(f"{node.node} could not be told: {node.error}", markup=False)
    if untold:
        raise typer.Exit(UNTOLD)


def _tell(client: "RegistryClient", user: str, *, as_json: bool) -> None:
    body, found = client.user(user)
    if as_json:
        print_json(body)
        return
    if found.devices:
        print_table(_table(found))
    else:
        print_line(f"{user} is not connected")
    if found.mailbox is not None:
        told = ", ".join(f"{name} {value}" for name, value in found.mailbox.items())
        print_line(f"mailbox: {told or 'empty'}")


def _table(found: "UserDevices") -> Table:
    table = Table(box=None, header_style="bold")
    for heading in ("connection", "node", "device", "since", "live"):
        table.add_column(heading)
    for device in found.devices:
        table.add_row(
            Text(device.connection),
            Text(device.node or ""),
            Text(device.device or ""),
            _since(device),
            Text("yes", "green") if device.is_live else Text("no", "red"),
        )
    return table


def _since(device: "Device") -> str:
    """Local time, to the second."""
    since = datetime.fromtimestamp(device.since_ms / 1000, UTC).astimezone()
    return since.strftime("%Y-%m-%d %H:%M:%S")
