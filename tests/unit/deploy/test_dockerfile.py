"""deploy/Dockerfile: what its stages copy and run is there, and what it ends with is what the tests start."""

import fnmatch
import json
import re
import shlex
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from integration.deploy.container import DIRECTORY, IMAGE
from integration.deploy.image_root import USER
from unit.deploy.composed import ROOT, SETTINGS, ours, services

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
STEPS = "deploy/image/build.sh"
FINAL = ("flights", "services")
RUN = re.compile(rf"(?:--mount=\S+ )?sh (?:/src/)?{re.escape(STEPS)} (\w+)")


class Instruction(NamedTuple):
    word: str
    text: str


class Stage(NamedTuple):
    base: str
    instructions: list[Instruction]


@cache
def stages() -> dict[str, Stage]:
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    found: dict[str, Stage] = {}
    here: list[Instruction] = []
    for line in text.replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, name = rest.split(" AS ")
            here = []
            found[name] = Stage(base, here)
        elif word:
            here.append(Instruction(word, " ".join(rest.split())))
    return found


def of(stage: str, word: str) -> list[str]:
    """Texts of a kind of instruction, those of the stages beneath included."""
    described = stages().get(stage)
    if described is None:
        return []
    own = [instruction.text for instruction in described.instructions if instruction.word == word]
    return of(described.base, word) + own


def own(stage: str, word: str) -> list[str]:
    return [one.text for one in stages()[stage].instructions if one.word == word]


def copied_from_context() -> set[str]:
    words = [text.split() for stage in stages() for text in own(stage, "COPY")]
    return {one for found in words if not found[0].startswith("--from") for one in found[:-1]}


def is_sent(path: Path) -> bool:
    """Whether .dockerignore lets a file of the checkout into the build; the last rule that fits decides."""
    name, sent = str(path.relative_to(ROOT)), True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        rule = line.strip().removeprefix("!").strip("/")
        if rule and not line.startswith("#") and fits(name, rule):
            sent = line.startswith("!")
    return sent


def fits(name: str, rule: str) -> bool:
    if rule.startswith("**/"):
        return any(fnmatch.fnmatchcase(part, rule[3:]) for part in name.split("/"))
    return rule == "*" or name == rule or name.startswith(f"{rule}/")


def test_the_last_stage_is_what_is_built_by_default() -> None:
    assert list(stages())[-1] == "services"


def test_the_base_has_a_version_and_is_the_python_of_the_tests() -> None:
    [base] = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", base)
    assert {stage.base for stage in stages().values()} == {"${BASE}", "build", "runtime"}


def test_what_is_run_are_steps_of_the_script_and_all_of_them() -> None:
    ran = {stage: own(stage, "RUN") for stage in stages()}
    steps = {stage: [RUN.fullmatch(text) for text in texts] for stage, texts in ran.items()}
    assert all(all(found) for found in steps.values()), ran
    named = {stage: [found[1] for found in texts if found] for stage, texts in steps.items()}
    assert {stage: found for stage, found in named.items() if found} == {
        "build": ["dependencies", "project"],
        "build-flights": ["flights"],
        "runtime": ["lean"],
    }
    [known] = re.findall(r"^  ([\w |]+)\) \"\$1\" ;;$", (ROOT / STEPS).read_text(), re.MULTILINE)
    assert set(known.split(" | ")) == {step for found in named.values() for step in found}


def test_what_is_copied_is_there_and_sent_to_the_build() -> None:
    for source in copied_from_context():
        assert (ROOT / source).exists(), source
        files = [ROOT / source] if (ROOT / source).is_file() else (ROOT / source).rglob("*.py")
        left_out = [
            path for path in files if "node_modules" not in path.parts and not is_sent(path)
        ]
        assert left_out == [], source


def test_what_must_not_be_sent_is_not() -> None:
    for name in (".git/config", ".venv/bin/python", "deploy/compose/keys/internal.key", ".env"):
        assert not is_sent(ROOT / name), name
    for name in ("sdk/js/node_modules/a/b.js", "shared/tidewire/__pycache__/x.pyc", "tests/x.py"):
        assert not is_sent(ROOT / name), name
    allowed = {
        line.removeprefix("!/")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert allowed == copied_from_context()


@pytest.mark.parametrize("stage", FINAL)
def test_images_run_as_a_user_without_rights_that_kubernetes_can_read(stage: str) -> None:
    assert of(stage, "USER") == [f"{USER}:{USER}"]
    assert own(stage, "RUN") == []
    assert {services()[name]["user"] for name in ours()} == {f"{USER}:{USER}"}


@pytest.mark.parametrize("stage", FINAL)
def test_of_what_was_built_only_the_environment_is_taken(stage: str) -> None:
    [copy] = of(stage, "COPY")
    assert re.fullmatch(r"--from=build(-flights)? /opt/tidewire /opt/tidewire", copy)


@pytest.mark.parametrize("stage", FINAL)
def test_the_service_is_process_1_and_gets_the_signal(stage: str) -> None:
    """In the exec form: a shell in between would not hand the signal on."""
    [entrypoint] = of(stage, "ENTRYPOINT")
    assert json.loads(entrypoint)
    assert of(stage, "STOPSIGNAL") == ["SIGTERM"]


def test_the_environment_is_that_of_the_test_of_the_image() -> None:
    [told] = of("services", "ENV")
    variables = dict(word.split("=", 1) for word in shlex.split(told))
    [path] = [variables.pop("PATH")]
    assert path == "/opt/tidewire/bin:$PATH"
    assert IMAGE["PATH"].startswith("/opt/tidewire/bin:")
    assert variables == {name: value for name, value in IMAGE.items() if name != "PATH"}
    assert of("services", "WORKDIR") == [DIRECTORY]


def test_the_health_check_is_the_command_that_the_steps_put_there() -> None:
    [check] = of("services", "HEALTHCHECK")
    assert json.loads(check.partition(" CMD ")[2]) == ["healthcheck"]
    assert 'deploy/image/healthcheck.py "$tidewire/bin/healthcheck"' in (ROOT / STEPS).read_text()
    assert of("flights", "HEALTHCHECK") == ["NONE"]


def test_the_ports_are_the_defaults_of_the_settings() -> None:
    names = {"gateway": "port", "publisher": "port", "registry": "port", "router": "internal_port"}
    defaults = [SETTINGS[word].model_fields[name].default for word, name in names.items()]
    assert of("services", "EXPOSE") == [" ".join(map(str, defaults))]
