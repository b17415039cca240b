"""Where commands find the internal key: an option, or the environment."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["VARIABLE", "InternalKeyOption"]

VARIABLE = "TIDEWIRE_INTERNAL_KEY_FILE"

InternalKeyOption = Annotated[
    Path | None,
    typer.Option(
        "--internal-key-file",
        metavar="FILE",
        envvar=VARIABLE,
        help="The services' INTERNAL_KEY_FILE, where they have one. A `tidewire dev` has none.",
    ),
]
