"""What compose.yaml mounts into Prometheus and the collector, checked by these themselves, placed as in their containers."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from unit.deploy.composed import DEPLOY, mounts

COLLECTOR: Final = os.environ.get("TIDEWIRE_COLLECTOR", "")

pytestmark = pytest.mark.timeout(60)


def placed(service: str, root: Path) -> None:
    for source, target in mounts(service):
        place = root / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)


def checked(config: Path) -> "subprocess.CompletedProcess[str]":
    promtool = shutil.which("promtool") or "promtool"
    return subprocess.run(
        [promtool, "check", "config", "--lint=all", "--lint-fatal", str(config)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_prometheus_takes_its_configuration_and_finds_the_rules(tmp_path: Path) -> None:
    placed("prometheus", tmp_path)
    config = tmp_path / "etc/prometheus/prometheus.yaml"
    told = checked(config)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "1 rule files found" in told.stdout
    config.write_text(config.read_text().replace("tidewire.rules", "tidewire.rulez"))
    assert checked(config).returncode != 0


@pytest.mark.skipif(not COLLECTOR, reason="`make test-collector` builds one")
def test_the_collector_takes_its_configuration() -> None:
    config = (DEPLOY / "compose" / "collector.yaml").read_text()
    for text, is_good in ((config, True), (config.replace("endpoint", "endpiont"), False)):
        told = subprocess.run(
            [COLLECTOR, "validate", f"--config=yaml:{text}"],
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert (told.returncode == 0) is is_good, told.stderr
