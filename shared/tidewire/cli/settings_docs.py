"""Write docs/settings.md from the settings models: ``make settings-doc``."""

import sys
from collections.abc import Iterator, Sequence

from ..config.setting_rows import SettingRow, groups_of, variable_of
from ..config.settings import SECRETS_DIR_VARIABLE, ServiceSettings
from .kafka_environment import PREFIX as KAFKA_PREFIX
from .kafka_environment import KafkaEnvironment
from .plain_variables import PLAIN_VARIABLES
from .service_settings import Service, settings_of

__all__ = ["COMMAND", "settings_page"]

COMMAND = "make settings-doc"

_HEAD = f"""\
# Settings

Every setting of every process; `{COMMAND}` writes this page from the settings models. How they are read, what they are for and examples stand in
[configuration.md](configuration.md). `tidewire config show SERVICE` prints those that a service would start with, `tidewire config check`
[finds what contradicts](configuration.md#checking-a-configuration).

A variable is given in the environment, in `.env`, or as a file in `{SECRETS_DIR_VARIABLE}`. Durations are in seconds and may have a fraction; sizes are
in bytes. A *list* is given as values with commas between them, or as a JSON array.
"""
_SHARED = {
    "tls": "TLS of the public ports",
    "kafka": "Kafka",
    "kafka.security": "Kafka: TLS and passwords",
    "tokens": "Tokens",
}


def settings_page() -> str:
    """The page, ending with a line's end."""
    models = {service: settings_of(service) for service in Service}
    lines = [_HEAD]
    for service, model in models.items():
        lines += _service(service, model)
    for path, title in _SHARED.items():
        lines += _shared(path, title, models)
    return "\n".join([*lines, *_commands()])


def _service(service: Service, model: type[ServiceSettings]) -> Iterator[str]:
    prefix = service.prefix
    yield f"## {service.capitalize()}: `{prefix}…`\n"
    for group in groups_of(model):
        if ".".join(group.path) in _SHARED:
            continue
        if group.path:
            title = " ".join(group.path)
            yield f"### {service.capitalize()}: {title}\n"
            yield f"{_sentence(group.meaning)}\n"
        yield from _table(prefix, group.rows)
    shared = [group for group in groups_of(model) if ".".join(group.path) in _SHARED]
    if shared:
        yield "And, alike for every service that has them:\n"
        for group in shared:
            path = ".".join(group.path)
            variable = variable_of(prefix, group.path)
            yield f"- `{variable}__…`: {group.meaning}: [{_SHARED[path]}](#{_anchor(_SHARED[path])})"
        yield ""


def _shared(path: str, title: str, models: dict[Service, type[ServiceSettings]]) -> Iterator[str]:
    found = {
        service: group
        for service, model in models.items()
        for group in groups_of(model)
        if ".".join(group.path) == path
    }
    yield f"## {title}\n"
    yield f"`<SERVICE>` is one of {', '.join(f'`{service.upper()}`' for service in found)}.\n"
    yield from _table("TIDEWIRE_<SERVICE>__", next(iter(found.values())).rows)


def _commands() -> Iterator[str]:
    own, security = groups_of(KafkaEnvironment)
    yield "## Commands\n"
    yield "What `tidewire`'s commands read, beside their options.\n"
    rows = [
        SettingRow((variable.removeprefix("TIDEWIRE_").lower(),), kind, "—", "", meaning, False)
        for variable, (kind, meaning) in PLAIN_VARIABLES.items()
    ]
    yield from _table("TIDEWIRE_", rows)
    yield "Of Kafka, for `topics`, `publish`, `revoke` and `bench`:\n"
    yield from _table(KAFKA_PREFIX, own.rows)
    yield (
        f"- `{variable_of(KAFKA_PREFIX, security.path)}__…`: {security.meaning}: "
        f"[{_SHARED['kafka.security']}](#{_anchor(_SHARED['kafka.security'])})\n"
    )


def _table(prefix: str, rows: Sequence[SettingRow]) -> Iterator[str]:
    yield "| setting | variable | type | default | unit | meaning |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for row in rows:
        cells = (
            f"`{'.'.join(row.path)}`",
            f"`{variable_of(prefix, row.path)}`",
            row.kind,
            row.default,
            row.unit,
            row.meaning.replace("|", "\\|"),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _anchor(title: str) -> str:
    """As GitHub makes it of a heading."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c == "-")


if __name__ == "__main__":
    sys.stdout.write(settings_page())
