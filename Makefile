# Each target sets itself up in .venv from a bare machine with Python 3.11 or 3.12 and pip.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := $(shell git ls-files '*.py' 'seedling/*' pyproject.toml README.md 2>/dev/null)

.PHONY: demo test lint types unit docs outputs fuzz bench clean

demo: .venv/.engine          ## run a program on the bundled model
	@$(BIN)/python -P examples/demo.py

test: lint types unit        ## what CI runs

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.test           # over the regular install, as a user's type checker sees it
	$(BIN)/mypy --config-file pyproject.toml -p ramify

unit: .venv/.test
	$(BIN)/pytest

docs: .venv/.docs            ## the documentation as a static site, in build/site
	$(BIN)/mkdocs build --strict

outputs: .venv/.test         ## run the pages' programs and write what they print into the pages
	$(BIN)/python -P docs/make_outputs.py

fuzz: .venv/.test            ## the long versions of the property tests
	RAMIFY_FUZZ=1 $(BIN)/pytest tests/radix_cache tests/runtime/core tests/runtime/sim
	$(BIN)/python -P tests/radix_cache/fuzz_driver.py --operations 10000000 --seed 0
	$(BIN)/python -P benchmarks/simulation.py --seeds 10000

bench: .venv/.test           ## every benchmark that needs no GPU
	$(BIN)/python -P benchmarks/core.py
	$(BIN)/python -P benchmarks/radix_cache.py
	$(BIN)/python -P benchmarks/programs.py
	$(BIN)/python -P benchmarks/startup.py

clean:
	rm -rf .venv build *.egg-info

$(BIN)/python:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check "setuptools>=77" wheel

# Dependencies first, when pyproject.toml changes; then the package itself, when a source changes.
.venv/.engine-deps: $(BIN)/python pyproject.toml
	rm -rf build
	$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation ".[engine]"
	touch $@

.venv/.test-deps: .venv/.engine-deps
	rm -rf build
	$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation ".[engine,test]"
	touch $@

.venv/.docs-deps: .venv/.engine-deps
	rm -rf build
	$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation ".[engine,docs]"
	touch $@

.venv/.engine: .venv/.engine-deps $(SOURCES)
	rm -rf build
	$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation --no-deps --force-reinstall .
	touch $@

.venv/.test: .venv/.test-deps .venv/.engine
	touch $@

.venv/.docs: .venv/.docs-deps .venv/.engine
	touch $@
