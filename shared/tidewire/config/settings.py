"""Settings of a service: environment, `.env` and a secrets directory, checked as a whole."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from .errors import ConfigError
from .explain import did_you_mean, explain, known_keys
from .redaction import is_secret, redact
from .setting_rows import variable_of

__all__ = [
    "SECRETS_DIR_VARIABLE",
    "LogLevel",
    "ServiceSettings",
    "load_settings",
    "read_variables",
    "redacted",
]

SECRETS_DIR_VARIABLE = "TIDEWIRE_SECRETS_DIR"
LogLevel: TypeAlias = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
_DELIMITER = "__"
_MAX_SECRET_BYTES = 1 << 20


class ServiceSettings(BaseSettings):
    """Base of a service's settings; a subclass sets ``env_prefix``, such as ``TIDEWIRE_GATEWAY__``.

    Constructed directly it takes its arguments and nothing else; `load_settings` reads the world.
    """

    model_config = SettingsConfigDict(
        env_nested_delimiter=_DELIMITER, extra="forbid", frozen=True, env_file=None
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


S = TypeVar("S", bound=ServiceSettings)


def load_settings(
    settings: type[S],
    *,
    environ: Mapping[str, str] | None = None,
    env_file: Path | None = Path(".env"),
) -> S:
    """Read settings from the secrets directory, `.env` and the environment; the last one wins.

    Raises ``ConfigError`` with a line ``VARIABLE: what is wrong; cure`` per problem, unknown
    variables with the service's prefix included.
    """
    variables = read_variables(environ, env_file)
    problems = [_unknown(name, known) for name, known in _strangers(settings, variables)]
    try:
        values = _VariablesSource(settings, variables)()
        loaded = settings(**values)
    except SettingsError as e:
        problems.append(_not_json(settings, e))
    except ValidationError as e:
        errors = [d for d in e.errors(include_url=False) if d["type"] != "extra_forbidden"]
        problems += [_sentence(settings, error) for error in errors]
    if problems:
        raise ConfigError("\n".join(problems))
    return loaded


def redacted(settings: ServiceSettings) -> dict[str, Any]:
    """The settings as plain JSON values with every secret masked, for people to read."""
    return {name: redact(name, value) for name, value in settings.model_dump(mode="json").items()}


class _VariablesSource(EnvSettingsSource):
    """pydantic-settings' reading of variables, over a mapping instead of the process's environment."""

    def __init__(self, settings: type[BaseSettings], variables: Mapping[str, str]) -> None:
        self._variables = variables
        super().__init__(settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._variables


def read_variables(
    environ: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")
) -> dict[str, str]:
    """All variables, settings or not, with lower-case names, as `load_settings` finds them. Raises ``ConfigError``."""
    environ = os.environ if environ is None else environ
    layers: list[Mapping[str, str | None]] = []
    if secrets_dir := environ.get(SECRETS_DIR_VARIABLE):
        layers.append(_read_secrets(Path(secrets_dir)))
    if env_file is not None and env_file.is_file():
        try:
            layers.append(dotenv_values(env_file))
        except (OSError, UnicodeDecodeError) as e:
            raise ConfigError(f"{env_file}: cannot be read: {e}") from e
    layers.append(environ)
    return {k.lower(): v for layer in layers for k, v in layer.items() if v is not None}


def _read_secrets(folder: Path) -> dict[str, str | None]:
    """One file a variable, named like it; a closing newline does not belong to the value."""
    if not folder.is_dir():
        raise ConfigError(f"{SECRETS_DIR_VARIABLE}: {folder} is not a directory")
    found: dict[str, str | None] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_file():
            continue
        try:
            with path.open(encoding="utf-8") as file:
                text = file.read(_MAX_SECRET_BYTES + 1)
        except (OSError, UnicodeDecodeError) as e:
            raise ConfigError(f"{path}: the secret cannot be read: {e}") from e
        if len(text) > _MAX_SECRET_BYTES:
            raise ConfigError(f"{path}: too large for a secret; is it the right file?")
        found[path.name] = text.removesuffix("\n")
    return found


def _strangers(
    settings: type[ServiceSettings], variables: Mapping[str, str]
) -> list[tuple[str, tuple[str, ...]]]:
    """Variables with the service's prefix that set nothing, and what may stand in their place."""
    prefix = _prefix_of(settings).lower()
    found = []
    for name in sorted(variables):
        if not prefix or not name.startswith(prefix):
            continue
        parts = name.removeprefix(prefix).split(_DELIMITER)
        for depth, part in enumerate(parts):
            known = known_keys(settings, parts[:depth])
            if known and part not in known:
                siblings = tuple(
                    variable_of(_prefix_of(settings), (*parts[:depth], k)) for k in known
                )
                found.append((name.upper(), siblings))
                break
    return found


def _prefix_of(settings: type[ServiceSettings]) -> str:
    return settings.model_config.get("env_prefix", "")


def _unknown(name: str, known: Sequence[str]) -> str:
    return f"{name}: unknown setting; {did_you_mean(name, known)}"


def _not_json(settings: type[ServiceSettings], error: SettingsError) -> str:
    named = re.search(r'field "(\w+)"', str(error))
    name = variable_of(_prefix_of(settings), (named[1],)) if named else str(error)
    return f'{name}: must be JSON, such as {{"name": "value"}}'


def _sentence(settings: type[ServiceSettings], error: ErrorDetails) -> str:
    place = error["loc"]
    if not place:
        return explain(error, (), {})
    name = variable_of(_prefix_of(settings), place)
    if error["type"] == "missing":
        return f"{name}: is not set; set it in the environment, in .env or as a secret file"
    secret = is_secret(str(place[-1]))
    return f"{name}: {explain(error, (), {}, secret=secret)}"
