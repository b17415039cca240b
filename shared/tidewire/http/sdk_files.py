"""Where the JavaScript SDK lies, for who serves it to pages."""

from pathlib import Path
from typing import Final

__all__ = ["javascript_sdk"]

_TIDEWIRE: Final = Path(__file__).resolve().parents[1]


def javascript_sdk() -> Path | None:
    """The folder with ``tidewire.js``: in a checkout, or the copy inside an installed wheel."""
    for folder in (_TIDEWIRE.parents[1] / "sdk" / "js" / "src", _TIDEWIRE / "sdk_js"):
        if folder.is_dir():
            return folder
    return None
