"""Runs the Python and the JavaScript of a document against the run, until it has printed what it should."""

import subprocess
import sys
import textwrap
from pathlib import Path

from harness.markdown import Block
from harness.waiting import wait_until
from integration.docs.expectations import Expectation
from integration.docs.shell import PATIENCE, end, lacking
from integration.docs.site import Site

__all__ = ["run_program"]

TOP_LEVEL_AWAIT = """\
import ast, asyncio, inspect, sys
code = compile(open(sys.argv[1]).read(), sys.argv[1], "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
running = eval(code, {"__name__": "__main__"})
if inspect.iscoroutine(running):
    asyncio.run(running)
"""
WEBSOCKET = "import { WebSocket } from 'ws'\nglobalThis.WebSocket ??= WebSocket\n"
"""Node 20 has none, and a browser has."""


def run_program(site: Site, block: Block, expected: Expectation | None) -> str | None:
    """What is wrong with it; None where it did what is expected of it."""
    known = expected or Expectation(has="")
    name = f"block_{block.line}"
    if block.language == "python":
        program = site.folder / f"{name}.py"
        program.write_text(site.here(_python(block.text, known)))
        command = [sys.executable, "-c", TOP_LEVEL_AWAIT, program.name]
    else:
        program = site.folder / f"{name}.mjs"
        program.write_text(site.here(block.text + known.last))
        before = site.folder / f"{name}.before.mjs"  # a module: the block's own imports come first
        before.write_text(WEBSOCKET + site.here(known.first))
        command = ["node", "--import", f"./{before.name}", program.name]
    return _outcome(site, command, known, program.with_suffix(".out"))


def _python(text: str, known: Expectation) -> str:
    """The block below what it needs, which may open one that it stands in."""
    inside = textwrap.indent(text, "    ") if known.first.endswith(":") else text
    return f"{known.first}\n{inside}{known.last}"


def _outcome(site: Site, command: list[str], known: Expectation, output: Path) -> str | None:
    errors = output.with_suffix(".err")
    with output.open("w") as stdout, errors.open("w") as stderr:
        process = subprocess.Popen(
            command,
            cwd=site.folder,
            env=site.environment(),
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    try:
        wait_until(
            lambda: _is_done(site, process, known, output), within=PATIENCE, what="its output"
        )
        early = process.returncode
    except AssertionError as late:
        return f"{late}\n{output.read_text()}{errors.read_text()}"
    finally:
        end(process)
    if early != (None if known.is_endless else 0):
        return f"it ended with exit code {early}: {errors.read_text()}"
    return lacking(known.prints, output.read_text())


def _is_done(
    site: Site, process: "subprocess.Popen[bytes]", known: Expectation, output: Path
) -> bool:
    """Whether it has ended, or never will and has printed everything."""
    if process.poll() is not None:
        return True
    if not known.is_endless:
        return False
    if lacking(known.prints, output.read_text()) is None:
        return True
    if known.meanwhile:
        subprocess.run(
            ["bash", "-c", site.here(known.meanwhile)],
            cwd=site.folder,
            env=site.environment(),
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
    return False
