# `make help` explains itself.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
BUILT  := build/.compiled

.DEFAULT_GOAL := help
.PHONY: help setup build run test soak lint bench clean

help:  ## show this
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) $(BUILT)  ## make .venv with everything needed to run, test and lint

$(STAMP): pyproject.toml setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	mkdir -p build && touch $@ $(BUILT)

$(BUILT): $(STAMP) $(wildcard ext/*.pyx ext/*.pxd ext/*.h)
	$(BIN)/python setup.py --quiet build_ext --inplace
	touch $@

build: $(BUILT)  ## compile what has changed in ext/

run: $(BUILT)  ## balance a pole from what an event camera sees; leaves a report in runs/
	$(BIN)/reflexarc run pole-balance

test: $(BUILT)  ## run every test
	$(BIN)/python -m pytest

soak: $(BUILT)  ## hold the promises for their long counts and write docs/promises.md
	$(BIN)/python benchmarks/promises.py --soak

lint: $(BUILT)  ## ruff and mypy over everything
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(BUILT)  ## print the benchmarks, one JSON object each
	$(BIN)/python benchmarks/encoders.py
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/build.py
	$(BIN)/python benchmarks/loop.py
	$(BIN)/python benchmarks/bus.py
	$(BIN)/python benchmarks/live.py
	$(BIN)/python benchmarks/pixels.py
	$(BIN)/python benchmarks/raster.py
	$(BIN)/python benchmarks/camera.py --minutes 1
	$(BIN)/python benchmarks/fidelity.py

clean:  ## remove what was built
	rm -rf build dist $(VENV) *.egg-info ext/*.c ext/*.so
