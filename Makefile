# Everything that people and machines do with this repository. `make` alone says what there is.
# Needs Python 3.11 or later and a POSIX shell; `make test` needs more and says what.

PORT ?= 8080
NODES ?= 1
BROKER ?= embedded
SPEED ?=
ONLY ?=
SABOTAGE ?=
SHORT ?=
QUICK ?=
PEERS ?=
V ?=
RECORD ?=
SECONDS ?= 60
PYTHON ?=
WORKERS ?= 2
VENV := .venv

export PYTHON VENV

BIN := $(VENV)/bin
PROJECTS := pyproject.toml sdk/python/pyproject.toml examples/flights/pyproject.toml
SOURCES := shared services sdk/python examples/flights tests benchmarks
ENVIRONMENT := $(VENV)/.run $(if $(filter embedded,$(BROKER)),$(VENV)/.embedded)
DEV_OPTIONS := --port $(PORT) --nodes $(NODES) --broker $(BROKER) $(if $(SPEED),--speed $(SPEED))
PARALLEL := --numprocesses $(WORKERS)
UV_LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --overrides deploy/requirements/overrides.txt --no-emit-package tidewire \
	--no-emit-package tidewire-client --no-emit-package tidewire-example-flights $(UPGRADE)

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-charts setup-collector setup-dev setup-js setup-test run test test-collector test-js test-unit test-contract test-integration test-e2e \
	drills bench bench-check bench-readers fuzz check format lint types layers metrics-doc settings-doc api-docs audit lock packages version clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo '  variables of run: PORT=8080 NODES=1 BROKER=embedded|kafka|HOST:PORT SPEED=simulated seconds a second PYTHON=python3'

setup: $(ENVIRONMENT) ## make the environment in .venv

run: $(ENVIRONMENT) ## everything on this machine, with the flights example, until Ctrl-C
	@exec $(BIN)/tidewire dev $(DEV_OPTIONS)

test: setup-test setup-charts ## every test: JavaScript, then unit, contract, integration, end to end
	@$(MAKE) test-js
	$(BIN)/pytest $(PARALLEL) tests/unit
	$(BIN)/pytest $(PARALLEL) tests/contract tests/integration tests/e2e

test-js: setup-js ## tests of the JavaScript SDK and of the console's pure modules
	cd sdk/js && npm test --silent
	node --test tests/unit/console/*.test.mjs

test-unit: setup-dev ## tests without a loop, a socket or a broker
	$(BIN)/pytest tests/unit

test-contract: setup-test ## the same suite over fake and real Kafka
	$(BIN)/pytest tests/contract

test-collector: setup-dev setup-collector ## the export of traces, and compose's collector, with a real OpenTelemetry Collector (needs Go 1.26)
	TIDEWIRE_COLLECTOR="$$(sh deploy/collector/build.sh)" $(BIN)/pytest tests/contract/test_otlp_export.py tests/integration/deploy/test_compose_configs.py

test-integration: setup-test setup-charts ## real sockets and processes
	$(BIN)/pytest tests/integration

test-e2e: setup-test ## everything, in a real browser
	$(BIN)/pytest tests/e2e

drills: setup-test ## faults on a real broker and real processes, over an hour; ONLY=6,11 SABOTAGE=1 SHORT=1
	PYTHONPATH=tests $(BIN)/python -m drills $(if $(ONLY),--only $(ONLY)) $(if $(SABOTAGE),--sabotage) $(if $(SHORT),--short)

bench: setup-test ## the gateway beside limits and peers, 20 minutes; QUICK=1 (3 minutes) ONLY=B1,B7 PEERS=FILE RECORD=1
	$(BIN)/python -m benchmarks.gateway $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) $(if $(PEERS),--peers $(PEERS)) $(if $(RECORD),--record)

bench-check: setup-test ## a quick run held against the recorded one: names each ratio that fell by more than 15 %
	$(BIN)/python -m benchmarks.gateway --quick $(if $(ONLY),--only $(ONLY))
	$(BIN)/python -m benchmarks.gateway.check .tidewire/bench/quick.json benchmarks/gateway/results/quick.json

bench-readers: setup-test ## what the Kafka reader costs, beside another client, some 15 minutes
	$(BIN)/python -m benchmarks.readers

fuzz: setup-dev $(VENV)/.fuzz ## each reader of what strangers send, by coverage, for SECONDS=60; what breaks one becomes a test
	PYTHONPATH=tests $(BIN)/python -m fuzz $(SECONDS)

check: lint types layers ## format, lint, types, layers

lint: setup-dev ## format and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup-dev setup-js ## types of sources and tests
	$(BIN)/mypy $(SOURCES)
	cd sdk/js && npm run types --silent
	sdk/js/node_modules/.bin/tsc --project services/tidewire_gateway/console/tsconfig.json

layers: setup-dev ## which package may import which
	$(BIN)/lint-imports

format: setup-dev ## write files the way `make check` wants them
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

metrics-doc: setup-dev ## write docs/metrics.md from the metric table
	$(BIN)/python -m tidewire.telemetry.metric_docs > docs/metrics.md.new || { rm -f docs/metrics.md.new; exit 1; }
	mv docs/metrics.md.new docs/metrics.md

settings-doc: setup-dev ## write docs/settings.md from the settings models
	$(BIN)/python -m tidewire.cli.settings_docs > docs/settings.md.new || { rm -f docs/settings.md.new; exit 1; }
	mv docs/settings.md.new docs/settings.md

api-docs: setup-dev ## write docs/asyncapi.yaml and docs/api from the code
	$(BIN)/python -m deploy.apidocs

audit: setup-js ## known vulnerabilities of what is locked; asks the advisory databases, and fails where it cannot
	@test -x .tools/audit/bin/pip-audit || { $(or $(PYTHON),python3) -m venv .tools/audit && .tools/audit/bin/pip install --quiet 'pip-audit>=2.9'; }
	.tools/audit/bin/pip-audit --strict --disable-pip --require-hashes -r deploy/requirements/run.lock
	cd sdk/js && npm audit --omit=dev

lock: ## resolve the dependencies anew (needs uv; UPGRADE=--upgrade for later versions)
	$(UV_LOCK) deploy/requirements/run.in -o deploy/requirements/run.lock
	$(UV_LOCK) deploy/requirements/run.in --group pyproject.toml:dev -c deploy/requirements/run.lock -o deploy/requirements/dev.lock
	$(UV_LOCK) deploy/requirements/embedded.in -o deploy/requirements/embedded.lock
	$(UV_LOCK) deploy/requirements/fuzz.in -o deploy/requirements/fuzz.lock

packages: setup-dev setup-js ## wheels, source distributions and the npm package, into dist/, with their sizes
	rm -rf dist
	@sh deploy/packages/build.sh dist

version: ## what version is written where; V=0.2.0 writes another everywhere (then `make api-docs`)
	@$(or $(PYTHON),python3) deploy/packages/versions.py $(V)

clean: ## remove the environment and all caches; the data in .tidewire stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage* dist build
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

setup-dev: $(VENV)/.dev $(VENV)/.embedded

setup-test: setup-dev
	@sh deploy/test-machine.sh
	@$(BIN)/python -m tidewire.dev.kafka_jars

setup-charts: setup-dev
	@sh deploy/charts/tools.sh >/dev/null

setup-collector:
	@sh deploy/collector/build.sh >/dev/null

setup-js: sdk/js/node_modules/.package-lock.json examples/publishing/node/node_modules/.package-lock.json

sdk/js/node_modules/.package-lock.json: sdk/js/package-lock.json
	@sh deploy/test-machine.sh
	@cd sdk/js && npm ci --silent --no-audit --no-fund && touch node_modules/.package-lock.json

examples/publishing/node/node_modules/.package-lock.json: examples/publishing/node/package-lock.json
	@cd examples/publishing/node && npm ci --silent --no-audit --no-fund && touch node_modules/.package-lock.json

$(VENV)/.run: deploy/setup.sh deploy/requirements/run.lock $(PROJECTS)
	@sh deploy/setup.sh run
	@touch $@

$(VENV)/.fuzz: deploy/requirements/fuzz.lock | $(VENV)/.run
	@sh deploy/setup.sh fuzz
	@touch $@

$(VENV)/.embedded: deploy/requirements/embedded.lock | $(VENV)/.run
	@sh deploy/setup.sh embedded
	@touch $@

$(VENV)/.dev: deploy/requirements/dev.lock | $(VENV)/.run
	@sh deploy/setup.sh dev
	@touch $@
