# Every target does its own set-up: a virtual environment in .venv with the tested versions.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# pip's own torch fits a CUDA machine and a Mac. On Linux without a GPU the CPU build saves gigabytes:
#   make setup TORCH_ARGS="--index-url URL-OF-PYTORCH'S-CPU-WHEELS"    (see pytorch.org/get-started)
TORCH_ARGS ?=

.PHONY: help setup demo test test-fast lint format plan publish table bench gpu nano nano-bert clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(READY)  ## virtual environment with everything in it

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt $(TORCH_ARGS) torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(READY)  ## plain beside residual prompts at three learning rates, miniature CB: three minutes, no network
	$(BIN)/python -m rpt.train -m hydra/launcher=packed task=cb prompt=vanilla,residual lr=0.001,0.01,0.3 \
		trainer.epochs=8 backbone=nano data=mini tracking=none results=outputs/demo
	$(BIN)/python -m rpt.results outputs/demo

test: $(READY)  ## the whole suite
	$(BIN)/pytest -m ''

test-fast: $(READY)  ## without the slow tests
	$(BIN)/pytest

lint: $(READY)  ## rules, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

plan: $(READY)  ## what the paper's tables and figures still need at miniature scale: runs, time, memory
	@$(BIN)/python -m rpt.plan scale=mini

publish: $(READY)  ## put finished runs of results/runs into the published store
	@$(BIN)/python -m rpt.publish

table: $(READY)  ## regenerate every table and figure of results/ from the run records
	@$(BIN)/python -m rpt.results

bench: $(READY)  ## how fast, beside the published protocol and peft: a quarter of an hour on two cores
	$(BIN)/python scripts/benchmark.py $(BENCH)

gpu:  ## on a machine with a GPU, with its own torch and no network: tests marked cuda, how fast; or GPU=--evidence, its runs
	PYTHONPATH=.:$$PYTHONPATH $(PYTHON) scripts/gpu.py $(GPU)

nano: $(READY)  ## pre-train the embedded backbone again (an hour and a half on two cores)
	$(BIN)/python scripts/pretrain_nano.py --out rpt/backbones/nano

nano-bert: $(READY)  ## pre-train the embedded encoder again (about as long)
	$(BIN)/python scripts/pretrain_nano_bert.py --out rpt/backbones/nano_bert

clean:  ## remove the virtual environment and caches, keep results and outputs
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis
