"""Documents as text: YAML for AsyncAPI, JSON for OpenAPI."""

import json
from typing import Any

import yaml

__all__ = ["as_json", "as_yaml"]

_WIDTH = 120


class _Dumper(yaml.SafeDumper):
    """Writes what is used twice twice: anchors mean nothing to readers of a schema."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def as_yaml(document: dict[str, Any], header: str) -> str:
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return header + text


def as_json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
