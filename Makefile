# `make help` lists what there is. Every target installs what it needs into .venv first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PIP    := $(BIN)/pip install -q --no-compile

TASK    ?= blockpush
METHODS ?=
SEEDS   ?= 0
PRESET  ?= laptop
JOBS    ?=
DEMOS   ?=
SOURCE  ?=
TORCH   ?=
# A process of tests takes up to 4 GB, so there are never more than four.
PARALLEL := -n auto --maxprocesses 4 --dist worksteal
TORCH_VERSION := $(shell sed -n 's/^torch==//p' constraints.txt)

.DEFAULT_GOAL := help
.PHONY: help setup demo bench compare test test-all check lint type imports format report docs perf clean

help:  ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1 - /p' $(MAKEFILE_LIST) | awk -F' - ' '{printf "%-10s %s\n", $$1, $$2}'

setup: $(READY)  ## Make .venv (TORCH=... names a build of torch to install instead)

# Without a GPU a CPU build of torch is enough, and gigabytes smaller: first where pip
# is set up to find one, then through uv, which knows where they are; failing both, the
# default build works too. Python files are compiled last, on all cores: pip would compile
# them one after the other. A few templates in packages do not compile, and need not.
$(READY): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 13) else "dp-bench needs Python 3.10 to 3.13, and $(PYTHON) is %d.%d; name another with make PYTHON=..." % v)'
	@test -x $(BIN)/python || { echo "Making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing dp-bench and what it needs into $(VENV): some minutes and 3 GB of disk"
	@echo "(more with a GPU build of torch). 1 of 3: torch $(TORCH_VERSION)"
	@$(BIN)/python -c 'import torch' 2>/dev/null || { \
	  if [ -n "$(TORCH)" ]; then $(PIP) $(TORCH); \
	  elif nvidia-smi >/dev/null 2>&1; then $(PIP) torch==$(TORCH_VERSION); \
	  else $(PIP) torch==$(TORCH_VERSION)+cpu 2>/dev/null \
	    || { $(PIP) uv && $(BIN)/uv pip install -q --python $(BIN)/python \
	           --torch-backend cpu torch==$(TORCH_VERSION) 2>/dev/null; } \
	    || $(PIP) torch==$(TORCH_VERSION); fi; }
	@echo "2 of 3: dp-bench with its simulators and tools"
	@$(PIP) -c constraints.txt -e '.[dev]'
	@echo "3 of 3: robosuite; then compiling, less than a minute"
	@$(PIP) -c constraints.txt --no-deps robosuite
	@$(BIN)/python -m compileall -q -q -j 0 $(VENV)/lib || true
	@echo "Installed: $$(du -sh $(VENV) | cut -f1) in $(VENV)"
	@touch $@

demo: $(READY)  ## Play trained policies on six starts, and make a page with films
	@$(BIN)/dp-bench demo

bench: $(READY)  ## Demonstrations, training, evaluation, table, plot: TASK= METHODS= SEEDS= PRESET= JOBS= SOURCE= DEMOS=
	@$(BIN)/dp-bench compare --task $(TASK) --seeds $(SEEDS) --preset $(PRESET) \
	  $(if $(JOBS),--jobs $(JOBS)) $(if $(METHODS),--methods $(METHODS)) $(if $(SOURCE),--source $(SOURCE)) \
	  $(if $(DEMOS),--demos "$(DEMOS)")

compare: bench  ## The same as bench

test: $(READY)  ## The quick tests
	@$(BIN)/pytest $(PARALLEL) -m 'not slow'

test-all: $(READY)  ## All tests
	@$(BIN)/pytest $(PARALLEL)

check: lint type imports  ## Style, types and the order of imports

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

# The mapped folders confuse mypy and import-linter in place, so both read the tree as it
# is installed.
build/type: $(READY) FORCE
	@rm -rf build/type build/lib build/bdist.*
	@$(BIN)/pip install -q --no-deps --target build/type .

type: build/type
	@MYPYPATH=build/type $(BIN)/mypy -n auto -p dp_bench

imports: build/type
	@cd build/type && PYTHONPATH=. ../../$(BIN)/lint-imports --no-cache --config ../../pyproject.toml

FORCE:

format: $(READY)  ## Rewrite files in the house style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

report: $(READY)  ## Remake tables and plots from the records in results/
	@$(BIN)/dp-bench report results

docs: $(READY)  ## Build the manual into build/docs, without a network
	@$(BIN)/python -c 'import material' 2>/dev/null \
	  || $(BIN)/pip install -q -c constraints.txt mkdocs-material
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/docs/index.html"

perf: $(READY)  ## Measure speed, as ratios in one run, and memory, into results/perf
	@$(BIN)/python tests/perf/run.py

clean:  ## Remove what was built (not runs, not results, not .venv)
	@rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
