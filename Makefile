# demo  boots four hosts, builds the shop stack on them, deploys, reconfigures, measures    test  every test, on real hosts
# demo-down  ends the demo     check  ruff and mypy     bench  the benchmarks, beside OpenSSH and other tools
# soak  all of what `make test` takes samples of
VENV := .venv
PYTHON := $(VENV)/bin/python
# Hosts in containers need root.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: demo demo-down test soak check bench

$(VENV)/.ready: pyproject.toml hatch_build.py tools/prepare
	tools/prepare
	touch $@

demo: $(VENV)/.ready
	$(AS_ROOT) $(PYTHON) -m cookline.cli demo

demo-down: $(VENV)/.ready
	$(AS_ROOT) $(PYTHON) -m cookline.cli demo --down

check: $(VENV)/.ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

test: check
	$(AS_ROOT) $(VENV)/bin/pytest -n auto --dist loadgroup

soak: $(VENV)/.ready
	$(AS_ROOT) env COOKLINE_SOAK=1 $(VENV)/bin/pytest -n auto --dist loadgroup -m soak

bench: $(VENV)/.ready
	$(AS_ROOT) $(PYTHON) -m tests.bench
