# `make demo` and `make test` need python3 (>= 3.11), make and a package index, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help setup demo check quick test coverage sweep sanitize pocl chaos soak browser doctor clean

help:                ## what can be made
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## */\t/' | expand -t 14

setup: $(VENV)/.runs  ## a virtual environment with the pinned requirements

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runs: requirements.txt constraints.txt | $(VENV)/bin/python
	@echo "Installing the pinned requirements into $(VENV) (about a minute, 1.5 GB) ..."
	$(PIP) -r requirements.txt -c constraints.txt
	@touch $@

$(VENV)/.tests: requirements-test.txt $(VENV)/.runs
	$(PIP) -r requirements-test.txt -c constraints.txt
	@touch $@

demo: $(VENV)/.runs   ## the seed's payload to an mp4
	@mkdir -p out
	$(BIN)/python -m mandel zoom payload.json -o out/demo.mp4

check: $(VENV)/.tests ## formatter, linter, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

quick: $(VENV)/.tests ## the tests that take no Ray and little time
	$(BIN)/python -m pytest tests -m "not ray and not chaos and not slow"

browser: $(VENV)/.tests ## a Chromium for tests/browser, without root
	$(BIN)/python -m tests.browser.chromium

coverage: $(VENV)/.tests ## which lines of mandel/ the quick tests run, without what runs in processes of their own
	$(BIN)/python -m pytest tests -m "not ray and not chaos and not slow" --cov=mandel --cov-report=term:skip-covered

test: $(VENV)/.tests  ## all tests
	$(BIN)/python -m pytest tests

SWEEP_SECONDS ?= 1800
SWEEP_DEVICE ?= cpu

sweep: $(VENV)/.tests ## random views of all kinds, half an hour (SWEEP_SECONDS, SWEEP_SEED, SWEEP_DEVICE)
	$(BIN)/python -m tests.sweep --seconds $(SWEEP_SECONDS) --device $(SWEEP_DEVICE) $(if $(SWEEP_SEED),--seed $(SWEEP_SEED))

sanitize: $(VENV)/.tests ## all kernels under clang's sanitizers (SANITIZE=long: every combination)
	@SANITIZE=$${SANITIZE:-1} $(BIN)/python -m tests.sanitize

POCL ?= /etc/OpenCL/vendors/pocl.icd

pocl: $(VENV)/.tests  ## the kernels' tests on the system's PoCL, instead of Intel's runtime (POCL=FILE.icd)
	@if test -e $(POCL); then \
	  OCL_ICD_VENDORS=$(POCL) $(BIN)/python -m pytest tests/device/test_choose.py $(addprefix tests/render/test_, \
	    direct.py painter.py perturbed.py return_map.py frame.py raw_strip.py resampler.py); \
	else \
	  echo "PoCL is not here ($(POCL)): apt-get install pocl-opencl-icd; its tests are left out"; \
	  test -z "$(POCL_REQUIRED)"; \
	fi

chaos: $(VENV)/.tests ## the promises of docs/resilience.md at length, with figures (about an hour)
	MANDEL_CHAOS=long $(BIN)/python -m pytest tests/chaos tests/service tests/store -s -rs

soak: $(VENV)/.tests  ## two hours of mixed load with kills: what grows (MANDEL_SOAK_SECONDS=7200)
	MANDEL_CHAOS=long MANDEL_SOAK_SECONDS=$${MANDEL_SOAK_SECONDS:-7200} $(BIN)/python -m pytest tests/chaos/test_leaks.py -s

doctor: $(VENV)/.runs ## what this machine has
	$(BIN)/python -m mandel doctor

clean:               ## removes the virtual environment and what demo made (never DB/)
	rm -rf $(VENV) out
