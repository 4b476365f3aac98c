# Thin: continuous integration and people call the same targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
POLICIES := .policies
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## Show the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

$(VENV)/.installed: requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --require-hashes -r requirements-dev.lock
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: setup
setup: $(VENV)/.installed ## Make .venv with the vapora command

.PHONY: setup-system
setup-system: ## Install the Debian packages that some tests need (as root): PostgreSQL, Redis, Prometheus
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends postgresql redis-server prometheus

.PHONY: setup-node
setup-node: ## Install the Debian packages that a real node needs (as root): containerd and what builds its images
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
		containerd runc containernetworking-plugins iptables iproute2 conntrack procps buildah debootstrap

$(POLICIES)/.installed: requirements-policies.lock | setup
	$(PYTHON) -m venv --without-pip $(POLICIES)
	$(BIN)/pip --python $(POLICIES) install -q --no-compile --require-hashes -r requirements-policies.lock
	@touch $@

.PHONY: setup-policies
setup-policies: $(POLICIES)/.installed ## Make .policies with checkov, which a test asks about all that is installed

.PHONY: lint
lint: setup ## Style, formatting, types, layers, the Dockerfile
	ruff check .
	ruff format --check .
	mypy
	lint-imports --config pyproject.toml
	hadolint Dockerfile

WRITE_CLI := typer vapora.cli utils docs --name vapora

.PHONY: generate
generate: setup ## Write what is generated: CRDs, references of API, metrics and command line, install.yaml, the chart
	python -m vapora.api.generate
	python -m vapora.adapters.metric_docs
	@$(WRITE_CLI) > docs/cli.md
	python charts/render.py

.PHONY: verify
verify: setup ## Check that what is generated is current
	python -m vapora.api.generate --check
	python -m vapora.adapters.metric_docs --check
	@$(WRITE_CLI) | diff -u docs/cli.md - || { echo 'docs/cli.md is not current: run make generate'; exit 1; }
	python charts/render.py --check

.PHONY: test
test: setup ## Pass all tests
	pytest tests/unit tests/contract -n 2
	pytest tests/learning -n 0
	pytest tests/simulation -n 2
	pytest tests/integration -n 2 --dist loadfile --every-metric
	pytest tests/chaos -n 2 --dist loadfile

.PHONY: chaos-full
chaos-full: setup ## Let faults strike at every write, instead of at some drawn ones (half an hour)
	pytest tests/chaos --chaos-full -n 2 --dist loadfile

.PHONY: e2e
e2e: setup ## Pass the tests on a real node (as root, after setup-node), or on the cluster of CONTEXT=...
	pytest tests/e2e -n 0 $(if $(CONTEXT),--context $(CONTEXT))

.PHONY: demo
demo: setup ## Run the main job end to end on an embedded cluster; NODE=real: a shorter one, with real containers
	python -m examples.demo $(if $(NODE),--node $(NODE))

.PHONY: bench
bench: setup ## Measure; writes bench/out/summary.json
	python -m bench

.PHONY: prove-learning
prove-learning: setup ## Play the simulated fleet and write what learning brings into docs/learning.md
	python -m bench.learning --write

.PHONY: ci
ci: setup-policies lint verify bench-short test ## What continuous integration runs

.PHONY: bench-short
bench-short: setup ## Measure briefly; fails on broken ratios and counts
	python -m bench --short
