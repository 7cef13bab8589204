# One command for each chore. `make demo` and `make test` do all the set-up; what is expensive is kept in $(REGIMEN_CACHE), keyed by version.
SHELL := /bin/bash
export REGIMEN_CACHE ?= /var/cache/regimen
export PYTHONPATH := cluster:demo
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

# make demo                          on a cluster of its own
# make demo CONTEXT=kind-x LOAD='kind load image-archive {archive} --name x'   on yours; or PUSH=registry.example/regimen
CONTEXT ?=
PUSH ?=
LOAD ?=
STORAGE_CLASS ?=
CLUSTER ?= demo

.PHONY: demo test check lock generate images cluster-up cluster-down clean

$(STAMP): pyproject.toml requirements.lock
	@echo "== installing Python packages"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON="; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint requirements.lock --editable '.[operator,data,router,feedback,server]' --group dev
	@touch $@

demo: $(STAMP)
	@$(BIN)/python -m regimen_demo $(if $(CONTEXT),--context '$(CONTEXT)') $(if $(PUSH),--push '$(PUSH)') $(if $(LOAD),--load '$(LOAD)') \
	  $(if $(STORAGE_CLASS),--storage-class '$(STORAGE_CLASS)')

# Fast part: lint, types, import rules, drift, unit tests. No cluster, no images.
check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy operator/regimen images/*/regimen_* images/build.py images/inside.py cluster/regimen_cluster demo/regimen_demo
	$(BIN)/lint-imports
	$(BIN)/pytest tests/unit tests/golden -q -n auto --durations=5

# Everything: the fast part, a real API server, the trainer where torch is, real pods. Programs and images are built side by side first; HAProxy and
# helm come with them, PostgreSQL with the wire tests, so what the fast part skipped for want of them on a new machine runs after it.
test: check
	$(BIN)/python -m regimen_demo.target >/dev/null
	$(BIN)/pytest tests/wire tests/unit/chart tests/unit/router tests/unit/feedback -q --durations=5
	$(BIN)/python images/inside.py trainer -- python -m pytest tests/images -q -p no:cacheprovider --confcutdir tests/images --durations=5
	$(BIN)/pytest tests/cluster -q -s --durations=10

# Files that are made from the models; tests fail when they have drifted.
generate: $(STAMP)
	$(BIN)/python -m regimen.spec.crds crds charts/regimen/templates
	$(BIN)/python -m regimen.spec.reference docs/reference.md
	$(BIN)/python charts/regimen/argocd/bundle.py

images: $(STAMP)
	$(BIN)/python -m regimen_demo.target $(if $(PUSH),--push '$(PUSH)')

cluster-up: $(STAMP)
	$(BIN)/python -m regimen_cluster up $(CLUSTER)

cluster-down: $(STAMP)
	$(BIN)/python -m regimen_cluster down $(CLUSTER)

lock:
	$(BIN)/uv pip compile --quiet pyproject.toml --all-extras --group dev --universal --no-header --no-annotate --python-version 3.11 -o requirements.lock

clean:
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
