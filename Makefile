# make alone prints the targets. A new recipe needs no new target: the pattern rules take its name.

PYTHON ?= python3
VENV ?= .venv
# Extras beside dev, by comma: make test EXTRAS=export,jax,torch
EXTRAS ?=
# More words for the command that a target runs: make train-mnist_cnn ARGS="--preset article"
ARGS ?=
SEEDS ?= 3
PRESETS ?=
# Tests run in as many processes as there are cores, four at most (one: make test JOBS=0). A file's tests stay
# together, for what they share, and files come in order of their names: those that take longest are early.
JOBS ?= auto
PYTEST = $(BIN)/python -m pytest --numprocesses $(JOBS) --maxprocesses 4 --dist loadfile \
	--no-loadscope-reorder $(ARGS)
# Of study-NAME.
STUDY ?=
# Of tune-NAME and sweep-NAME; WORKERS of study-NAME too.
METHOD ?= bayesian
TRIALS ?= 30
FOLDS ?= 1
WORKERS ?= 1

comma := ,
# A study knows its number of seeds: only one that was asked for counts.
STUDY_SEEDS = $(if $(filter file,$(origin SEEDS)),,--seeds $(SEEDS))
BIN := $(VENV)/bin
# One stamp per set of extras; without EXTRAS any earlier installation will do.
STAMP := $(VENV)/.installed$(if $(EXTRAS),-$(subst $(comma),-,$(EXTRAS)))
INSTALLED := $(or $(if $(EXTRAS),,$(firstword $(wildcard $(VENV)/.installed*))),$(STAMP))

.DEFAULT_GOAL := help
.PHONY: help setup quickstart test test-all lint format data notebooks lab site tables claims clean

help:  ## show this
	@echo "make TARGET [EXTRAS=jax,torch,export,heic,optuna,privacy,mlflow,wandb,notebooks,site] [ARGS=...]"
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22
	@echo "NAME is a folder of recipes/: $(patsubst recipes/%/train.py,%,$(wildcard recipes/*/train.py))"

setup: $(INSTALLED)  ## create .venv and install the package; nothing is installed twice

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"Python 3.11 to 3.13 is needed, this is {v[0]}.{v[1]}; try make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev$(if $(EXTRAS),$(comma)$(EXTRAS))]"
	@touch $@

quickstart: $(INSTALLED)  ## train mnist_cnn on built-in digits, no download, under a minute
	@$(BIN)/recipes train mnist_cnn --preset sample --data sample --overwrite $(ARGS)

test: $(INSTALLED)  ## run the tests: no network, minutes on 2 cores
	@$(PYTEST)

test-all: $(INSTALLED)  ## run the slow tests as well (real data too, where TFDS_DATA_DIR names it)
	@RUN_SLOW=1 $(PYTEST)

lint: $(INSTALLED)  ## check format, rules and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(INSTALLED)  ## apply format and safe fixes
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

data: $(INSTALLED)  ## download the data sets that recipes declare, cache their arrays
	@$(BIN)/python -m common.cli.data $(ARGS)

train-%: $(INSTALLED)  ## train a recipe: make train-NAME ARGS="--preset article"
	@$(BIN)/recipes train $* $(ARGS)

tune-%: $(INSTALLED)  ## search hyperparameters: make tune-NAME METHOD=evolution TRIALS=50 FOLDS=5 WORKERS=2
	@$(BIN)/recipes tune $* --method $(METHOD) --trials $(TRIALS) --folds $(FOLDS) --workers $(WORKERS) $(ARGS)

sweep-%: $(INSTALLED)  ## compare all methods on the epochs of TRIALS trainings: make sweep-NAME TRIALS=30
	@$(BIN)/recipes sweep $* --trials $(TRIALS) --seeds $(SEEDS) --folds $(FOLDS) --workers $(WORKERS) $(ARGS)

results-%: $(INSTALLED)  ## train its presets over seeds, write results.json: make results-NAME SEEDS=5
	@$(BIN)/recipes results $* --seeds $(SEEDS) $(if $(PRESETS),--presets $(PRESETS)) $(ARGS)

study-%: $(INSTALLED)  ## answer a question by trainings: make study-NAME STUDY=... ARGS=--record; without STUDY: lists them
	@$(BIN)/recipes study $* $(if $(STUDY),$(STUDY) --workers $(WORKERS) $(STUDY_SEEDS) $(ARGS))

notebooks:  ## run all notebooks and store what they show (installs the extra)
	@$(MAKE) -s --no-print-directory setup EXTRAS=$(or $(EXTRAS),notebooks)
	@$(BIN)/python -m common.cli.notebook_execution notebooks/*.ipynb

lab:  ## open JupyterLab on the notebooks (installs the extra)
	@$(MAKE) -s --no-print-directory setup EXTRAS=$(or $(EXTRAS),notebooks)
	@$(BIN)/jupyter lab --notebook-dir notebooks $(ARGS)

site:  ## build the pages of the collection into build/site (installs the extra)
	@$(MAKE) -s --no-print-directory setup EXTRAS=$(or $(EXTRAS),site)
	@$(BIN)/python -m docs.collect build
	@cd build && NO_MKDOCS_2_WARNING=1 $(abspath $(BIN))/mkdocs build --strict --quiet
	@echo "Open build/site/index.html"

bench: $(INSTALLED)  ## measure speed on an otherwise idle machine (long); needs EXTRAS=jax,torch and data
	@$(BIN)/python tests/benchmarks/throughput.py --output tests/benchmarks/results
	@$(BIN)/python tests/benchmarks/time_to_accuracy.py --output tests/benchmarks/results
	@$(BIN)/python tests/benchmarks/overheads.py --output tests/benchmarks/results
	@$(BIN)/python -m tests.benchmarks.readme
	@$(BIN)/python -m tests.benchmarks.claims

tables: $(INSTALLED)  ## write the result tables of the READMEs again
	@$(BIN)/python -m common.cli.results

claims: tables  ## write the table of claims again: what studies.json says of each

clean:  ## remove the environment and caches of tools; runs/ stays
	rm -rf $(VENV) .pytest_cache .ruff_cache *.egg-info
