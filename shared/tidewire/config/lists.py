"""Several values in one variable: separated by commas, or a JSON array (pure)."""

import json
from typing import Final

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

__all__ = ["COMMAS"]


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return _from_json(value)
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _from_json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(
            'begins like a JSON array and is none: write values separated by commas, or ["a", "b"]'
        ) from None


COMMAS: Final = (NoDecode, BeforeValidator(_split))
"""Annotations of a tuple: ``Annotated[tuple[str, ...], *COMMAS]``."""
