# The manual of this repository: `make` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
CODE := wire journal venue ingest book condition store control ui
DEMO_BINANCE_PORT ?= 18743
DEMO_COINBASE_PORT ?= 18744

.DEFAULT_GOAL := help
.PHONY: help install run demo test tests lint check bench bench-check bench-bytes bench-reading chaos soak mutants database service wheel image lock

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## set up .venv with everything, from the lock file

$(STAMP): requirements-dev.lock pyproject.toml hatch_build.py $(wildcard */*_loops.pyx */*.pxd)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 install")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(STAMP)  ## run the whole logger in the foreground against the real exchanges
	@exec $(BIN)/obl-run

demo: $(STAMP)  ## the same against simulated exchanges, into ./data/demo: no internet, no keys
	@DATA_DIR=data/demo \
	SECURITIES=binance:BTCUSDT,binance:ETHUSDT,coinbase:BTC-USD AUDIT_SECONDS=60 \
	BINANCE_WS_URL=ws://127.0.0.1:$(DEMO_BINANCE_PORT) BINANCE_REST_URL=http://127.0.0.1:$(DEMO_BINANCE_PORT) \
	COINBASE_WS_URL=ws://127.0.0.1:$(DEMO_COINBASE_PORT) COINBASE_REST_URL=http://127.0.0.1:$(DEMO_COINBASE_PORT) \
	COINBASE_API_KEY=demo COINBASE_API_SECRET=ZGVtbw== COINBASE_API_PASSPHRASE=demo \
	DEMO_BINANCE_PORT=$(DEMO_BINANCE_PORT) DEMO_COINBASE_PORT=$(DEMO_COINBASE_PORT) \
	exec $(BIN)/obl-run --conf tests/simulator/demo.conf

test: $(STAMP)  ## run the tests, but for the minutes of accidents that check adds
	$(BIN)/pytest -q -n 3 --dist loadfile --no-loadscope-reorder -m "not faults"

tests: $(STAMP)  ## run all tests
	$(BIN)/pytest -q -n 3 --dist loadfile --no-loadscope-reorder

lint: $(STAMP)  ## style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint bench-check tests  ## lint, whether a stage became slower, and all tests: what CI runs

bench: $(STAMP)  ## what each stage costs, rates, latency, a peer (JSON=file for machines, ONLY=a table)
	$(BIN)/python -m tests.bench $(if $(JSON),--json $(JSON)) $(if $(ONLY),--only $(ONLY))

bench-check: $(STAMP)  ## whether a stage costs 1.3 times what it did (tests/bench/ratios.json), in times the floor
	$(BIN)/python -m tests.bench.regression

bench-bytes: $(STAMP)  ## what the captures need in bytes, beside what others need
	$(BIN)/python -m tests.bench.sizes

bench-reading: $(STAMP)  ## how fast a day, half of it compacted, is read back: columns, books, moments (JSON=file HOURS=24)
	$(BIN)/python -m tests.bench.reading $(if $(JSON),--json $(JSON)) $(if $(HOURS),--hours $(HOURS))

chaos: $(STAMP)  ## accidents of the whole logger from a seed, compared with the market (SEED= ROUNDS= ACCIDENTS=)
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ACCIDENTS),--accidents $(ACCIDENTS))

soak: $(STAMP)  ## a week in miniature: rotations and reconnects, with the memory of every process (RECONNECTS=50)
	$(BIN)/python -m tests.soak $(if $(RECONNECTS),--reconnects $(RECONNECTS))

mutants: $(STAMP)  ## make each rule naive in a copy of the tree: its test must fail (not in CI)
	$(BIN)/python -m tests.mutants

database: $(STAMP)  ## run the embedded database alone
	@exec $(BIN)/obl-database

service: $(STAMP)  ## install and start the systemd unit (as root)
	@deploy/install-service "$(CURDIR)"

wheel: $(STAMP)  ## build dist/*.whl
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation -w dist .

image:  ## build the container image order-book-logger
	docker build -t order-book-logger .

lock: $(STAMP)  ## write the lock files anew from pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --strip-extras -o requirements.lock pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --strip-extras --extra analysis --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml
