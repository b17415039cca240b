"""Where commands find the registry: an option, or a running `tidewire dev`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..config.errors import ConfigError
from ..config.urls import is_http_url
from ..dev.running import read_running
from ..identity.internal_keys import load_internal_keys

if TYPE_CHECKING:
    from .registry_client import RegistryClient

__all__ = ["RegistryOption", "registry_client"]

RegistryOption = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The registry. Default: that of the running `tidewire dev`."),
]


def registry_client(
    registry: str | None, data_dir: Path, key_file: Path | None
) -> "RegistryClient":
    """``key_file`` has what it asks for. Raises ``ConfigError`` that names the options where nothing tells where the registry is."""
    url = registry if registry is not None else _of_run(data_dir)
    if not is_http_url(url):
        raise ConfigError(f"--registry: must be a URL such as http://127.0.0.1:8082 (is {url!r})")
    try:
        from .registry_client import RegistryClient  # httpx is slow to load
    except ModuleNotFoundError as e:
        raise ConfigError(
            f"asking the registry needs {e.name}, which is not installed: pip install 'tidewire[server]'"
        ) from None
    return RegistryClient(url, load_internal_keys(key_file))


def _of_run(data_dir: Path) -> str:
    running = read_running(data_dir)
    if running is None:
        raise ConfigError(
            f"no registry to ask: no `tidewire dev` runs in {data_dir}; start one, name its "
            "directory with --data-dir, or a registry with --registry URL"
        )
    if running.registry is None:
        raise ConfigError(
            f"no registry to ask: the `tidewire dev` in {data_dir} runs none; "
            "name one with --registry URL"
        )
    return running.registry
