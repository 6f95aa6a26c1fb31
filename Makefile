# `make help` explains itself.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup build run test lint bench clean

help:  ## show this
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## make .venv with everything needed to run, test and lint

$(STAMP): pyproject.toml setup.py $(wildcard ext/*.pyx ext/*.pxd)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

build: $(STAMP)  ## rebuild the compiled layer after a change in ext/
	$(BIN)/python setup.py --quiet build_ext --inplace

run: $(STAMP)  ## balance a pole from what an event camera sees; leaves a report in runs/
	$(BIN)/reflexarc run pole-balance

test: $(STAMP)  ## run every test
	$(BIN)/python -m pytest

lint: $(STAMP)  ## ruff and mypy over everything
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)  ## print the benchmarks, one JSON object each
	$(BIN)/python benchmarks/engine.py

clean:  ## remove what was built
	rm -rf build dist $(VENV) *.egg-info ext/*.c ext/*.so
