"""Write the API documents anew: ``python -m deploy.apidocs``."""

import sys
from collections.abc import Mapping
from pathlib import Path

from . import kafka, websocket
from .rendering import as_json, as_yaml
from .services import documents

__all__ = ["DOCS", "rendered"]

DOCS = Path(__file__).parents[2] / "docs"


def rendered() -> Mapping[Path, str]:
    """Every document as it should be, by where it lies."""
    return {
        DOCS / "asyncapi.yaml": as_yaml(websocket.document(), websocket.HEADER),
        DOCS / "api" / "asyncapi-kafka.yaml": as_yaml(kafka.document(), websocket.HEADER),
        **{
            DOCS / "api" / f"openapi-{name}.json": as_json(document)
            for name, document in documents().items()
        },
    }


if __name__ == "__main__":
    for path, text in rendered().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"written: {path}\n")
