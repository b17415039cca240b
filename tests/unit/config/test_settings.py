from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from tidewire.config.errors import ConfigError
from tidewire.config.settings import ServiceSettings, load_settings, redacted


class Broker(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    bootstrap: str = "127.0.0.1:9092"
    sasl_password: str = Field(default="", max_length=8)


class Demo(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="TIDEWIRE_DEMO__")

    port: int = Field(default=8080, ge=0, le=65535)
    streams: Path
    dev: bool = False
    api_token: SecretStr = SecretStr("")
    redis: str = ""
    peers: list[str] = Field(default_factory=list)
    static: dict[str, str] = Field(default_factory=dict)
    kafka: Broker = Broker()


GOOD = {"TIDEWIRE_DEMO__STREAMS": "streams.yaml"}


def load(environ: dict[str, str], env_file: Path | None = None) -> Demo:
    return load_settings(Demo, environ=environ, env_file=env_file)


def problems_of(environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as failure:
        load(environ)
    return str(failure.value).splitlines()


def test_values_and_nested_values_come_from_the_environment() -> None:
    settings = load(
        GOOD
        | {
            "TIDEWIRE_DEMO__PORT": "9",
            "TIDEWIRE_DEMO__DEV": "1",
            "TIDEWIRE_DEMO__KAFKA__BOOTSTRAP": "kafka:9092",
            "TIDEWIRE_DEMO__STATIC": '{"/": "web"}',
            "TIDEWIRE_OTHER__PORT": "not ours",
        }
    )
    assert settings == Demo(
        port=9,
        dev=True,
        streams=Path("streams.yaml"),
        static={"/": "web"},
        kafka=Broker(bootstrap="kafka:9092"),
    )


def test_the_environment_beats_the_env_file_which_beats_the_secrets(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "tidewire_demo__port").write_text("1\n")
    (secrets / "tidewire_demo__redis").write_text("redis://secret\n")
    (secrets / "TIDEWIRE_DEMO__KAFKA__SASL_PASSWORD").write_text("pw")
    (secrets / "..data").mkdir()
    env_file = tmp_path / ".env"
    env_file.write_text("TIDEWIRE_DEMO__PORT=2\nTIDEWIRE_DEMO__REDIS=redis://file\n")
    settings = load(
        GOOD | {"TIDEWIRE_DEMO__PORT": "3", "TIDEWIRE_SECRETS_DIR": str(secrets)}, env_file
    )
    assert (settings.port, settings.redis) == (3, "redis://file")
    assert settings.kafka.sasl_password == "pw"


def test_every_problem_names_its_variable_and_the_cure() -> None:
    assert problems_of(
        {
            "TIDEWIRE_DEMO__PORT": "70000",
            "TIDEWIRE_DEMO__PROT": "1",
            "TIDEWIRE_DEMO__KAFKA__BOTSTRAP": "x",
            "TIDEWIRE_DEMO__DEV": "perhaps",
        }
    ) == [
        (
            "TIDEWIRE_DEMO__KAFKA__BOTSTRAP: unknown setting; "
            "did you mean 'TIDEWIRE_DEMO__KAFKA__BOOTSTRAP'?"
        ),
        "TIDEWIRE_DEMO__PROT: unknown setting; did you mean 'TIDEWIRE_DEMO__PORT'?",
        "TIDEWIRE_DEMO__PORT: must be at most 65535 (is '70000')",
        (
            "TIDEWIRE_DEMO__STREAMS: is not set; "
            "set it in the environment, in .env or as a secret file"
        ),
        "TIDEWIRE_DEMO__DEV: must be true or false (is 'perhaps')",
    ]


def test_what_must_be_json_and_is_not_names_its_variable() -> None:
    [problem] = problems_of(GOOD | {"TIDEWIRE_DEMO__STATIC": "web"})
    assert problem == 'TIDEWIRE_DEMO__STATIC: must be JSON, such as {"name": "value"}'


def test_a_secrets_directory_that_is_not_there_is_named() -> None:
    [problem] = problems_of(GOOD | {"TIDEWIRE_SECRETS_DIR": "/does/not/exist"})
    assert problem == "TIDEWIRE_SECRETS_DIR: /does/not/exist is not a directory"


def test_a_secret_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    secret = tmp_path / "tidewire_demo__redis"
    environ = GOOD | {"TIDEWIRE_SECRETS_DIR": str(tmp_path)}
    secret.write_bytes(b"\xff")
    assert problems_of(environ)[0].startswith(f"{secret}: the secret cannot be read")
    secret.write_bytes(b"x" * ((1 << 20) + 1))
    assert problems_of(environ) == [f"{secret}: too large for a secret; is it the right file?"]


def test_an_env_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_bytes(b"A=\xff")
    with pytest.raises(ConfigError, match=r"\.env: cannot be read"):
        load(GOOD, env_file)


def test_a_secret_value_is_not_shown_in_an_error() -> None:
    assert problems_of(GOOD | {"TIDEWIRE_DEMO__KAFKA__SASL_PASSWORD": "hushhushhush"}) == [
        "TIDEWIRE_DEMO__KAFKA__SASL_PASSWORD: must not be longer than 8 characters"
    ]


def test_constructed_directly_it_reads_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEWIRE_DEMO__PORT", "9")
    assert Demo(streams=Path("x")).port == 8080


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hu/shhush@h",
        "redis://ada:1?shhush@h",
        "redis://ada:hu#shhush@h",
        "rediss://ada:pw@h?ssl_password=shhush",
        "redis://h/0?password=shhush",
        "redis+sentinel://ada:shhush@a:port,b/main",
        "redis://shhush@h",
    ],
)
def test_no_part_of_a_password_is_shown_wherever_it_stands_in_a_url(url: str) -> None:
    shown = redacted(Demo(streams=Path("s"), redis=url))["redis"]
    assert "shhush" not in shown
    assert "**********" in shown


def test_shown_settings_hold_no_secret() -> None:
    shown = redacted(
        Demo(
            streams=Path("s.yaml"),
            api_token=SecretStr("hush"),
            redis="redis://user:hush@redis:6379/0",
            peers=["redis://:hush@a", "redis://[hush@", "http://hush@c"],
            kafka=Broker(sasl_password="hush"),
        )
    )
    assert "hush" not in repr(shown)
    assert shown["redis"] == "redis://user:**********@redis:6379/0"
    assert shown["peers"] == ["redis://:**********@a", "**********", "http://**********"]
    assert shown["streams"] == "s.yaml"
    assert shown["kafka"]["bootstrap"] == "127.0.0.1:9092"
