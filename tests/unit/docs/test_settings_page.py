"""docs/settings.md says what the settings models say, and they say enough."""

import re
from collections import Counter
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from tidewire.cli.kafka_environment import PREFIX as KAFKA_PREFIX
from tidewire.cli.kafka_environment import KafkaEnvironment
from tidewire.cli.plain_variables import PLAIN_VARIABLES
from tidewire.cli.service_settings import Service, settings_of
from tidewire.cli.settings_docs import COMMAND, settings_page
from tidewire.config.setting_rows import SettingRow, groups_of, variable_of, variables_of

DOCUMENT = Path(__file__).parents[3] / "docs" / "settings.md"
UNITS = {"", "seconds", "bytes", "count", "a second", "characters", "share", "port"}
ROWS = [
    pytest.param(row, id=variable_of(service.prefix, row.path))
    for service in Service
    for group in groups_of(settings_of(service))
    for row in group.rows
]


def cells() -> list[list[str]]:
    lines = [line for line in settings_page().splitlines() if line.startswith("| `")]
    return [re.split(r" *(?<!\\)\| *", line)[1:-1] for line in lines]


def row_of(variable: str) -> list[str]:
    [row] = [row for row in cells() if row[1] == f"`{variable}`"]
    return row


def test_the_committed_page_is_the_generated_one() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == settings_page(), COMMAND


@pytest.mark.parametrize("row", ROWS)
def test_a_setting_has_a_meaning_and_a_number_has_a_unit(row: SettingRow) -> None:
    assert row.meaning
    assert not row.meaning.endswith(".")
    assert row.unit in UNITS
    assert bool(row.unit) == row.is_number


def test_every_variable_of_every_service_is_there_once() -> None:
    told = Counter(row[1].strip("`") for row in cells())
    assert set(told.values()) == {1}
    shared = re.compile(r"__(TLS|KAFKA|TOKENS)__")
    expected = {*PLAIN_VARIABLES, f"{KAFKA_PREFIX}BOOTSTRAP"}
    for service in Service:
        for variable in variables_of(service.prefix, settings_of(service)):
            is_shared = shared.search(variable)
            place = f"TIDEWIRE_<SERVICE>__{variable.removeprefix(service.prefix)}"
            expected.add(place if is_shared else variable)
    assert set(told) == expected


def test_groups_that_services_share_are_alike_for_all_of_them() -> None:
    alike: dict[tuple[str, ...], set[type[BaseModel]]] = {}
    for service in Service:
        for group in groups_of(settings_of(service)):
            alike.setdefault(group.path, set()).add(group.model)
    for path in (("tls",), ("kafka",), ("kafka", "security"), ("tokens",)):
        assert len(alike[path]) == 1
    [security] = alike["kafka", "security"]
    assert groups_of(KafkaEnvironment)[1].model is security


def test_a_row_tells_type_default_unit_and_meaning_in_words() -> None:
    assert row_of("TIDEWIRE_GATEWAY__LIMITS__HIGH_WATER") == [
        "`limits.high_water`",
        "`TIDEWIRE_GATEWAY__LIMITS__HIGH_WATER`",
        "size: at least 1024, at most 1073741824",
        "`65536` (64 KiB)",
        "bytes",
        "unsent, beyond which a connection's subscriptions are detached until it has drained",
    ]


@pytest.mark.parametrize(
    ("variable", "kind", "default", "unit"),
    [
        ("TIDEWIRE_GATEWAY__STREAMS", "path", "must be set", ""),
        ("TIDEWIRE_GATEWAY__PORT", "port", "`8080`", "port"),
        ("TIDEWIRE_GATEWAY__ORIGINS", "list of text", "`same-origin`", ""),
        ("TIDEWIRE_GATEWAY__STATIC", "JSON object", "—", ""),
        ("TIDEWIRE_GATEWAY__DEV", "`true` or `false`", "`false`", ""),
        ("TIDEWIRE_GATEWAY__DRAIN_DELAY", "duration: at least 0, at most 3600", "`10`", "seconds"),
        (
            "TIDEWIRE_GATEWAY__LIMITS__CONNECTION_AGE_JITTER",
            "number: at least 0, below 1",
            "`0.15`",
            "share",
        ),
        ("TIDEWIRE_GATEWAY__TARGETED__ADDRESS", "URL", "—", ""),
        (
            "TIDEWIRE_PUBLISHER__LOG_LEVEL",
            "one of `DEBUG`, `INFO`, `WARNING`, `ERROR`",
            "`INFO`",
            "",
        ),
        ("TIDEWIRE_PUBLISHER__MAX_BODY_BYTES", "size: at least 1", "`4194304` (4 MiB)", "bytes"),
        ("TIDEWIRE_ROUTER__INSTANCE_ID", "text", "—", ""),
        ("TIDEWIRE_<SERVICE>__TLS__KEY_PASSWORD", "secret", "—", ""),
        ("TIDEWIRE_<SERVICE>__TOKENS__KEY_FILES", "list of paths", "—", ""),
        (
            "TIDEWIRE_<SERVICE>__KAFKA__LINGER",
            "duration: at least 0, at most 1",
            "`0.005`",
            "seconds",
        ),
    ],
)
def test_types_defaults_and_units(variable: str, kind: str, default: str, unit: str) -> None:
    assert row_of(variable)[2:5] == [kind, default, unit]


def test_no_cell_breaks_its_table() -> None:
    assert {len(row) for row in cells()} == {6}


def test_a_prefix_is_that_of_the_model() -> None:
    for service in Service:
        assert settings_of(service).model_config.get("env_prefix") == service.prefix


def test_no_secret_has_a_default_that_would_be_printed() -> None:
    for service in Service:
        for group in groups_of(settings_of(service)):
            for name, field in group.model.model_fields.items():
                if SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ())):
                    assert field.default is None, name
