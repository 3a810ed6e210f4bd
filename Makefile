# make run         installs what is locked and runs the default study
# make install     installs only
# make test        checks the code and runs the tests, in minutes
# make test-all    these, the slow ones (faults, fuzzing, granularity) and the next
# make test-slurm  runs a tiny study on a Slurm that it starts here; needs root and Debian, and
#                  for so long may add a line to /etc/hosts
VENV ?= .venv
PYTHON ?= python3
CORES ?= all
# Tests run in so many processes.
WORKERS ?= 2
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
LOCK := requirements.lock
# Threads that wait by spinning are many times slower on a shared machine.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: run install test test-slow test-all test-slurm lint format schemas lock clean

run: $(INSTALLED)
	$(BIN)/snakemake --cores $(CORES)

install: $(INSTALLED)

test: lint
	$(BIN)/python -m pytest -n $(WORKERS)

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -n $(WORKERS) -m "slow or faults or fuzz"

test-all: test test-slow test-slurm

test-slurm: $(INSTALLED)
	tests/slurm/install.sh
	$(BIN)/python -m pytest -m slurm tests/slurm

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules workflow/Snakefile
	$(BIN)/mypy
	$(BIN)/snakemake --lint

schemas: $(INSTALLED)
	PYTHONPATH=workflow/scripts $(BIN)/python -m timelapse.study.schemas

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules workflow/Snakefile

# The local part of a version (+cpu) depends on where the lock was made.
lock: $(INSTALLED)
	$(BIN)/pip-compile --quiet --extra dev --extra slurm --strip-extras --allow-unsafe --no-header \
	    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	    --output-file $(LOCK) pyproject.toml
	sed -i 's/^\(torch==[0-9.]*\)+.*/\1/' $(LOCK)

$(INSTALLED): $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement $(LOCK)
	touch $@

clean:
	rm -rf results logs .cache
