# Every target sets up what it needs by itself; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

SCALE ?= demo
SEEDS ?= 3
DATA ?=
RUNS ?= runs
LAUNCHER ?= local
ARGS ?=
WANDB ?= auto
PYTHON ?= python3

BIN := .venv/bin
READY := .venv/.ready
OPTIONS = --scale $(SCALE) --seeds $(SEEDS) --runs $(RUNS) --launcher $(LAUNCHER) --wandb $(WANDB) \
	$(if $(DATA),--data $(DATA)) -- $(ARGS)

TABLES := table1 table2 table3 table4 table5 details heaviside curves ablations overhead
DATA_SETS := data-voc data-context data-cityscapes data-camvid

.PHONY: help setup $(TABLES) tables claims report figures test lint format types check bench
.PHONY: clean wandb-sync data-demo data-voc data-context data-cityscapes data-camvid

help: ## Show this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  Variables: SCALE=demo|lite|paper SEEDS=3 DATA=folder RUNS=runs LAUNCHER=local WANDB=auto|offline|off"
	@echo "  ARGS='--trainer.devices=2 --trainer.strategy=ddp': any Lightning flags"

setup: $(READY) ## Make .venv and install everything into it

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) found: install Python 3.11 or later, or name one with PYTHON=" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $$($(PYTHON) --version) is too old: Python 3.11 or later is needed, name one with PYTHON=" >&2; exit 2; }
	@command -v $${CXX:-g++} >/dev/null || command -v c++ >/dev/null || { echo "make: no C++ compiler found, pydensecrf2 needs one: install g++ (Debian: apt-get install g++)" >&2; exit 2; }
	@[ -x $(BIN)/python ] || [ $$(df -Pk . | awk 'NR==2{print $$4}') -gt 8000000 ] || { echo "make: less than 8 GB free here, the packages need about 7: free some space" >&2; exit 2; }
	@echo "Setting up .venv (about 3 GB of downloads, some minutes) ..."
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv || { echo "make: $(PYTHON) -m venv failed: install the venv module (Debian: apt-get install python3-venv)" >&2; exit 2; }
	@if command -v uv >/dev/null; then VIRTUAL_ENV=.venv uv pip install -q -c constraints.txt -e '.[dev]'; \
	else $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]' 2> >(grep -v '^WARNING: Location' >&2); fi
	@touch $@

table1: $(READY) ## Table 1: seven architectures, baseline against level set loss
table2: $(READY) ## Table 2: PASCAL-Context (demo: generated clutter)
table3: $(READY) ## Table 3: Cityscapes (demo: generated streets; lite: CamVid)
table4: $(READY) ## Table 4: seconds per image with the loss and with the CRF
table5: $(READY) ## Table 5: other losses, really run
heaviside: $(READY) ## Fig. 5: Heaviside functions over training
curves: $(READY) ## Fig. 4: losses and mIoU over training
details: $(READY) ## Scores at contours and by size of object, which the paper claims
overhead: $(READY) ## Section 4.3: what the loss adds to a training step
ablations: $(READY) ## What the paper leaves open, one change at a time

$(TABLES):
	@$(BIN)/reproduce table $@ $(OPTIONS)

tables: $(TABLES) ## All tables

claims: $(READY) ## What the tables say of the paper's claims: docs/reproduction.md
	@$(BIN)/reproduce claims

wandb-sync: $(READY) ## Send the offline runs under RUNS to Weights & Biases (after .venv/bin/wandb login)
	@find $(RUNS) -mindepth 3 -maxdepth 3 -path '*/wandb/offline-run-*' | sort | xargs -r $(BIN)/wandb sync $(ARGS)

report: $(READY) ## One HTML page of all tables and their runs: build/report.html
	@$(BIN)/reproduce report --scale $(SCALE) --runs $(RUNS) $(if $(DATA),--data $(DATA))

figures: $(READY) ## The paper's figures from logged runs: tables/SCALE/figures
	@$(BIN)/reproduce figures --scale $(SCALE) --runs $(RUNS) $(if $(DATA),--data $(DATA))

test: $(READY) ## Run the tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(READY) ## Style: ruff's checks and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(READY) ## Apply ruff's fixes and format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(READY) ## Types: mypy, strict
	@$(BIN)/mypy

check: lint types ## Style, types, and that the tables are what their records give
	@$(BIN)/reproduce check

bench: $(READY) ## Time and memory of losses, training steps and the CRF, as ratios
	@$(BIN)/reproduce bench loss --out bench
	@$(BIN)/reproduce bench step --out bench
	@$(BIN)/reproduce bench crf --out bench

data-demo: $(READY) ## Generate the demo data (made by itself when needed)
	@$(BIN)/reproduce data prepare shapes

data-voc: $(READY) ## Fetch VOC 2012 and SBD into DATA (default: data), check every file
data-context: $(READY) ## Fetch VOC 2010; PASCAL-Context's labels come from you
data-cityscapes: $(READY) ## Unpack and check Cityscapes; its archives need a login
data-camvid: $(READY) ## Check CamVid

$(DATA_SETS):
	@$(BIN)/reproduce data prepare $(@:data-%=%) --runs $(RUNS) $(if $(DATA),--data $(DATA))

clean: ## Remove caches (never data, runs or tables)
	@rm -rf .mypy_cache .ruff_cache .pytest_cache build *.egg-info
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
