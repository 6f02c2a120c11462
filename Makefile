# Every target says what it does in the comment after `##`; `make help` prints them.
# Everything is installed into .venv from wheels, at the versions of constraints.txt: no compiler,
# no root. Only `make test` and `make pcsc-setup` may install Debian packages, and they say so first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--only-binary :all: --constraint constraints.txt
# Stamps live inside the environment, so that they vanish with it.
STAMP_VENV := $(VENV)/.stamp-venv
STAMP_SETUP := $(VENV)/.stamp-setup
STAMP_DEV := $(VENV)/.stamp-dev
STAMP_PCSC := $(VENV)/.stamp-pcsc
PACKAGES := cardcore terminals settlement api hsm_sim
# Debian packages the tests need: to build pyscard, then a reader service with virtual readers,
# other people's programs that have to see our card as a card, and a token that keeps keys.
APT_PACKAGES := gcc libc6-dev python3-dev libpcsclite-dev pkg-config \
	pcscd vsmartcard-vpcd opensc pcsc-tools softhsm2
WORKERS ?= 2
# A file stays with one worker, and files in the order of tests/conftest.py: slow ones first.
SPREAD = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
SCHEME ?= shenzhen

.DEFAULT_GOAL := help
.PHONY: help setup demo replay pictures test test-fast lint coverage bench mutants soak values \
	dev-setup pcsc-setup apt-packages python-is-new-enough clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP_SETUP) ## Make .venv and install onecard into it (seconds when nothing changed)

demo: setup ## Set up, then run a small city and print what became of every fen
	$(BIN)/onecard demo

replay: setup ## Replay a file of real taps: make replay TAPS=taps.csv [SCHEME=shenzhen]
	@test -n "$(TAPS)" || { echo "Which taps? Say: make replay TAPS=path/to/taps.csv" >&2; exit 2; }
	$(BIN)/onecard replay "$(TAPS)" --scheme "$(SCHEME)"

pictures: dev-setup ## Draw the pictures of the first minute anew, from what the program prints
	$(BIN)/python -m tests.api.first_minute.recording

test: apt-packages lint pcsc-setup ## Set up what the tests need, then lint, type check and run every test
	$(BIN)/python -m pytest -q $(SPREAD)

test-fast: dev-setup ## Run the tests that are not marked slow, stopping at the first failure
	$(BIN)/python -m pytest -q -x -n $(WORKERS) -m "not slow"

lint: dev-setup ## Check form, types and the direction of imports
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/mypy tests
	$(BIN)/lint-imports --no-cache

coverage: dev-setup ## Run every test and print the lines and branches that none of them reached
	$(BIN)/python -m pytest -q $(SPREAD) --cov --cov-report=term-missing:skip-covered

bench: setup ## Measure one tap beside its fsyncs, and TACs beside one call a record and a loop in C
	$(BIN)/onecard bench tap
	$(BIN)/onecard bench tac

mutants: dev-setup ## Put every known wrong change into a copy, one at a time, and expect its tests to fail
	$(BIN)/python -m tests.mutants.run

soak: dev-setup ## Many more examples, random APDUs, a key service that keeps dying, an attacker, worlds of lies, fuzzers (hours)
	$(BIN)/python -m pytest -q $(SPREAD) --hypothesis-profile=soak
	$(BIN)/python -m tests.cardcore.chip.walks.soak_apdus --seconds 300
	$(BIN)/python -m tests.hsm_sim.wire.soak_wire --seconds 300
	$(BIN)/python -m tests.settlement.attacker.soak_attacker --seconds 3600
	$(BIN)/python -m tests.settlement.verification.soak_insider --seconds 3600
	$(BIN)/python -m tests.fuzz.fuzz_codecs --seconds 300
	$(BIN)/python -m tests.settlement.audited.soak_worlds --worlds 100000

values: dev-setup ## Write docs/values.md, every closed enumeration, from the code
	$(BIN)/python -m tests.support.values

clean: ## Remove .venv and everything that tools made; city folders stay
	rm -rf $(VENV) build *.egg-info .coverage .coverage.* .hypothesis
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find $(PACKAGES) tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

dev-setup: $(STAMP_DEV)

pcsc-setup: $(STAMP_PCSC) ## Install what card readers need: pyscard, pcscd, virtual readers, opensc

python-is-new-enough:
	@command -v "$(PYTHON)" >/dev/null || { echo "No $(PYTHON) found. onecard needs \
	Python 3.11 or newer: sudo apt install python3 python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "onecard needs \
	Python 3.11 or newer, and $(PYTHON) is $$("$(PYTHON)" -V). If a newer one has another name, \
	say so: make setup PYTHON=python3.11" >&2; exit 1; }

# Debian packs ensurepip apart from Python. Where it is missing, a pip outside the environment
# can still install one inside it.
$(STAMP_VENV): | python-is-new-enough
	@echo "Making $(VENV) with $$("$(PYTHON)" -V) ..."
	@rm -rf $(VENV)
	@if "$(PYTHON)" -c 'import ensurepip' 2>/dev/null; then "$(PYTHON)" -m venv $(VENV); \
	elif "$(PYTHON)" -m pip --version >/dev/null 2>&1; then \
		"$(PYTHON)" -m venv --without-pip $(VENV) && \
		"$(PYTHON)" -m pip --quiet --python $(VENV) install --only-binary :all: pip; \
	else echo "This Python can make no environment: sudo apt install python3-venv" >&2; exit 1; fi
	@touch $@

# setuptools is installed first and used as it is: the editable build then fetches nothing.
$(STAMP_SETUP): pyproject.toml constraints.txt $(STAMP_VENV)
	@echo "Installing onecard and its wheels (some 150 MB, once) ..."
	@$(PIP_INSTALL) setuptools
	@$(PIP_INSTALL) --no-build-isolation --editable .
	@touch $@

$(STAMP_DEV): $(STAMP_SETUP)
	@echo "Installing the tools of the tests ..."
	@$(PIP_INSTALL) --no-build-isolation --editable '.[dev,hsm]'
	@touch $@

# The one package without a Linux wheel; only what speaks through card readers needs it.
$(STAMP_PCSC): constraints.txt $(STAMP_DEV) | apt-packages
	@echo "Building pyscard ..."
	@$(PIP_INSTALL) --no-binary pyscard pyscard
	@touch $@

apt-packages:
	@missing=""; for package in $(APT_PACKAGES); do \
		dpkg-query -W -f '$${Status}' "$$package" 2>/dev/null | grep -q 'ok installed' \
			|| missing="$$missing $$package"; \
	done; \
	test -z "$$missing" && exit 0; \
	sudo=""; test "$$(id -u)" = 0 || sudo=sudo; \
	echo "Readers and the tests with them need real components. Installing Debian packages, with $${sudo:-no sudo}:$$missing"; \
	$$sudo apt-get update -q && $$sudo env DEBIAN_FRONTEND=noninteractive \
		apt-get install -q -y --no-install-recommends $$missing
