# Each target is a few commands; docs/reference.md has them for those who have no make.
# Named, since the make of macOS, 3.81, looks for a plain command in its own PATH otherwise.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
KILLS ?= 200
SEED ?= 0
export PATH := $(abspath $(VENV))/bin:$(PATH)
# A container's user may have neither a name nor a home, and DVC looks for both.
export LOGNAME ?= $(firstword $(shell id -un 2> /dev/null || id -u))
export HOME ?= $(shell echo ~)
unexport PYTHONHOME PYTHONPATH PYTHONSAFEPATH  # other libraries than the environment's, or none of the project's
unexport PYTHONDONTWRITEBYTECODE  # as containers set it; then every process compiles all that it imports

.PHONY: help setup differs repro preset verify retry tracking test test-cluster test-processors soak bench audit ui dashboard docs-figures
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-17s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

# uv takes a fraction of pip's time, from the same file with the same hashes; pip, where uv cannot be had.
BY_PIP := $(VENV)/bin/python -m pip install --quiet --require-hashes
BY_UV := uv pip install --quiet --python $(VENV)/bin/python
INSTALL = command -v uv > /dev/null && $(BY_UV) --require-hashes --requirement requirements.txt || $(BY_PIP) --requirement requirements.txt
# PyTorch's build without CUDA has other files, so other hashes: it alone is taken without them.
ifdef TORCH
WITHOUT_CUDA = awk '/^[a-z]/ {cuda = /^(torch|torchvision|triton|nvidia-[a-z0-9-]+|cuda-[a-z]+)==/} !cuda' requirements.txt
INSTALL = $(BY_UV) --no-deps --require-hashes --requirement <($(WITHOUT_CUDA)) && $(BY_UV) --no-deps \
	$(if $(filter cpu,$(TORCH)),--torch-backend cpu,--no-index --find-links $(TORCH)) $$(grep -oE '^torch(vision)?==[0-9.]+' requirements.txt)
endif

setup: $(VENV)/installed  ## install requirements.txt into .venv, if it is missing or out of date; TORCH=cpu: without CUDA, a tenth of the download

# A copy of the requirements.txt that was installed. An environment of another folder is changed only if FORCE=1 says so.
$(VENV)/installed: $(shell cmp -s requirements.txt $(VENV)/installed || echo differs)
	@test ! -e $(VENV) -o "$(abspath $(VENV))" = "$(CURDIR)/.venv" -o -n "$(FORCE)" || { echo "error: VENV = $(VENV): has not what this requirements.txt says, as far as $@ tells; FORCE=1 installs it there" >&2; exit 2; }
	@git rev-parse --git-dir > /dev/null 2>&1 || test -e .git || grep -qs no_scm .dvc/config.local || { echo "error: $(CURDIR): is no git repository, which DVC needs: \`git init\` makes it one; without git, write \`[core] no_scm = true\`, in two lines, to .dvc/config.local" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	@command -v uv > /dev/null || $(BY_PIP) --no-deps --requirement <(sed -n '/^uv==/,/[^\\]$$/p' requirements.txt) || true
	$(INSTALL)
	@cp requirements.txt $@

repro: setup  ## run the stages that are out of date, and print a summary
	@python -m json.tool .dvc/tmp/rwlock > /dev/null 2>&1 || rm -f .dvc/tmp/rwlock  # DVC, when killed, may tear its lock
	@python -m stages.download --check
	python -m dvc repro
	@python -m stages.summary
	@python -m stages.digest

preset:  ## copy presets/NAME.yaml to params.yaml; FORCE=1 overwrites changes that are in no commit and no preset
	@test -f "presets/$(NAME).yaml" || { echo "error: NAME = '$(NAME)': must be one of $(basename $(notdir $(wildcard presets/*.yaml)))" >&2; exit 2; }
	@test -n "$(FORCE)" || git diff --quiet HEAD -- params.yaml 2> /dev/null || for preset in presets/*.yaml; do cmp -s $$preset params.yaml && exit; done || { echo "error: params.yaml: is as it is in no commit and no preset; make preset NAME=$(NAME) FORCE=1 overwrites it" >&2; exit 2; }
	cp presets/$(NAME).yaml params.yaml

verify: setup  ## train recorded trials again and compare them bit for bit (all: make verify ARGS=--all)
	python -m stages.verify $(ARGS)

retry: setup  ## train again the trials that failed because of the machine, and those proposed after them
	studies=$$(python -m stages.retry) && for study in $$studies; do python -m dvc repro --force --single-item $$study || exit; done
	python -m dvc repro

tracking: setup  ## log to MLflow what it lacks, from the journals or from results/
	python -m stages.tracking

test: setup  ## the tests but the long ones, the linter and the type checker
	ruff check . && ruff format --check . && python -m mypy
	python -m pytest

test-cluster: setup  ## the long tests: Dask, SLURM, PostgreSQL, S3, MLflow's server, DVC in a team
	python -m pytest -m cluster

test-processors: setup  ## the same bits on other processors, under emulation: needs qemu-user
	PYTHONPATH=.:tests python tests/processors.py

soak: setup  ## kill the studies KILLS times at random, and check that nothing is lost
	PYTHONPATH=.:tests python tests/soak.py --kills $(KILLS) --seed $(SEED)

bench: setup  ## compare the speed of the first study with the same work without the pipeline
	python -m benchmarks.speed

audit:  ## check the pinned dependencies for known vulnerabilities
	$(PYTHON) -m venv .venv-audit && .venv-audit/bin/python -m pip install --quiet pip-audit==2.10.1
	.venv-audit/bin/pip-audit --requirement requirements.txt --disable-pip --require-hashes --strict

ui: setup  ## MLflow at http://127.0.0.1:5000
	python -m stages.ui

docs-figures: setup  ## the pictures of README.md and docs/, from a run in a new clone: needs chromium
	python -m benchmarks.pictures

dashboard: setup  ## Optuna's dashboard of the studies, read only, at http://127.0.0.1:8080
	python -m stages.dashboard
