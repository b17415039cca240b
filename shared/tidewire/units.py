"""Units of settings: a model's field says one by ``json_schema_extra``, and the page of settings shows it."""

from typing import Final

from pydantic.config import JsonDict

__all__ = ["BYTES", "CHARACTERS", "COUNT", "PER_SECOND", "PORT", "SECONDS", "SHARE"]

BYTES: Final[JsonDict] = {"unit": "bytes"}
CHARACTERS: Final[JsonDict] = {"unit": "characters"}
COUNT: Final[JsonDict] = {"unit": "count"}
PER_SECOND: Final[JsonDict] = {"unit": "a second"}
PORT: Final[JsonDict] = {"unit": "port"}
SECONDS: Final[JsonDict] = {"unit": "seconds"}
SHARE: Final[JsonDict] = {"unit": "share"}
