#!/bin/sh
# Build the OpenTelemetry Collector that the tests export to, once for each state of its sources; print where it is.
# Needs Go 1.26 or later; it takes one or two minutes and a gigabyte of Go's caches, the first time.
set -eu
cd "$(dirname "$0")"

fail() { printf 'tidewire: %s\n' "$*" >&2; exit 2; }

state=$(cat main.go go.mod go.sum | cksum | tr ' ' -)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tidewire
built=$cache/collector-$state

if [ ! -x "$built" ]; then
  command -v go >/dev/null 2>&1 || fail 'the collector for tests is built with Go, which is not on this machine: install Go 1.26 or later'
  mkdir -p "$cache" || fail "cannot write $cache: make it writable or set XDG_CACHE_HOME"
  printf 'Building the collector (some minutes, the first time) …\n' >&2
  part=$(mktemp "$cache/collector-part-XXXXXX")
  trap 'rm -f "$part"' EXIT
  go build -mod=readonly -buildvcs=false -trimpath -ldflags='-s -w' -o "$part" . >&2 ||
    fail 'the collector could not be built: see above; is the proxy for Go modules reachable, and Go 1.26 or later?'
  mv "$part" "$built"
fi
printf '%s\n' "$built"
