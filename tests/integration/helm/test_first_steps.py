"""What a newcomer types: the README's quick start up to the cluster's door, and the getting of the tools."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from harness.markdown import blocks_of
from integration.helm.chart import CHART, tool

pytestmark = pytest.mark.timeout(600)  # the first one may have to get the tools

_ROOT = CHART.parents[1]
_NEEDED = ("sh", "dirname", "basename", "cat", "cksum", "tr", "mktemp", "mkdir", "rm", "uname")


def run(
    command: str, folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    words = [shutil.which("sh") or "sh", "-euc", command]
    return subprocess.run(
        words,
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=dict(environment),
        timeout=60,
    )


def test_the_quick_start_renders_what_it_says(tmp_path: Path) -> None:
    (block,) = (
        one for one in blocks_of((CHART / "README.md").read_text()) if "helm template" in one.text
    )
    commands = [line.removeprefix("$ ") for line in block.text.splitlines()]
    (tmp_path / "helm").symlink_to(CHART.parent)
    path = f"{Path(tool('helm')).parent}{os.pathsep}{os.environ['PATH']}"

    done = run("\n".join(commands), tmp_path, {**os.environ, "PATH": path})

    assert done.returncode == 0, done.stderr
    kinds = [one["kind"] for one in yaml.safe_load_all(done.stdout) if one]
    assert kinds.count("Deployment") == 2
    assert "Secret" not in kinds


def test_the_secrets_of_the_quick_start_are_those_that_its_values_name() -> None:
    readme = (CHART / "README.md").read_text()
    values = yaml.safe_load((CHART / "examples" / "values-minimal.yaml").read_text())
    for named, key in (
        (values["internalKey"]["existingSecret"], "internal.key"),
        (values["tokens"]["existingSecret"], "token.key"),
    ):
        assert f"secret generic {named} --from-literal={key}=$(openssl rand -hex 32)" in readme


def test_a_machine_without_go_is_told_what_to_install(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in _NEEDED:
        (programs / name).symlink_to(shutil.which(name) or name)
    environment = {"PATH": str(programs), "XDG_CACHE_HOME": str(tmp_path / "cache")}

    done = run("sh deploy/charts/tools.sh", _ROOT, environment)

    assert done.returncode == 2
    assert done.stdout == ""
    assert "install Go 1.26 or later" in done.stderr
    assert not (tmp_path / "cache").exists()
