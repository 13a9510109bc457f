# Three verbs to remember, each doing its own set-up on a fresh machine: run, test, check.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= auto

.PHONY: run test check format golden docs schema bench clients clean

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "OmniRoute needs Python 3.11 or newer (PYTHON=... make)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,socks]'
	$(BIN)/python -m compileall -q omniroute  # where the environment forbids Python to do so, every start would do it again
	touch $@

run: $(VENV)/.ready  ## the gateway on port 20128
	$(BIN)/omniroute serve

test: $(VENV)/.ready  ## all tests
	$(BIN)/pytest -q -n $(WORKERS)

check: $(VENV)/.ready  ## format, lint, types, freshness of what is generated
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md docs omniroute examples changes
	$(BIN)/omniroute schema --check
	$(BIN)/omniroute docs --check

format: $(VENV)/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

golden: $(VENV)/.ready  ## rewrite the golden files, then look at the diff
	UPDATE_GOLDEN=1 $(BIN)/pytest -q tests/wire tests/config -k golden || true
	git diff --stat -- tests/golden

schema docs: $(VENV)/.ready
	$(BIN)/omniroute schema --write schemas
	$(BIN)/omniroute docs --write docs/reference

bench: $(VENV)/.ready  ## beside nginx and the peers: the table of benchmarks/README.md (OPTIONS="--quick --hold")
	$(BIN)/python benchmarks/run.py $(OPTIONS)

fidelity: $(VENV)/.ready  ## every recording through every pair of formats
	status=0; for part in "" --recast --requests --turns; do $(BIN)/python -m tests.fidelity $$part || status=1; done; exit $$status

clients: $(VENV)/.ready  ## real coding CLIs through the gateway (OMNIROUTE_CLIENTS: the folder that has them)
ifndef OMNIROUTE_CLIENTS
	mkdir -p .clients && cp tests/clients/package.json .clients
	npm install --prefix .clients --no-audit --no-fund --loglevel=error
endif
	OMNIROUTE_CLIENTS=$(or $(OMNIROUTE_CLIENTS),$(CURDIR)/.clients/node_modules/.bin) $(BIN)/pytest -q -m clients -n $(WORKERS) tests/clients

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
