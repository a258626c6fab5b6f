# make demo   the main job: five rules side by side on embedded data, set-up included
# make test   the tests              make slow    the learning tests
# make check  lint, format, types    make bench   speed and memory, beside PyTorch
# make mutate planted defects, each of which the tests must catch
# make docs   build the docs     make bench-peers   what others offer, for make bench to measure too
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test slow check format bench bench-peers docs mutate clean

demo: $(READY)
	$(BIN)/byway compare --task digits --rules bp,frozen,fa,dfa,ff --seeds 8 --out runs/demo --overwrite

test: $(VENV)/.ready-dev
	$(BIN)/pytest -n 2 -m "not slow"

slow: $(VENV)/.ready-dev
	$(BIN)/pytest -m slow

mutate: $(VENV)/.ready-dev
	$(BIN)/python -m tests.mutate

check: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(VENV)/.ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.ready-bench
	$(BIN)/python -m benchmarks

bench-peers: $(READY)
	$(BIN)/python -m benchmarks.peers

docs: $(VENV)/.ready-docs
	$(BIN)/mkdocs build --strict

$(READY): pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable .
	touch $@

$(VENV)/.ready-%: $(READY)
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable .[$*]
	touch $@

clean:
	rm -rf $(VENV) runs site .pytest_cache .ruff_cache
