# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
#
#   make demo [BAG=path] [LOOPS=n]   play a drive to both nodes, print the table, write out/demo
#   make test                        fast and medium tests
#   make test-slow                   the rest
#   make bench                       transport, frame path, engines, training step
#   make agreement BAG=path          every network in every CPU engine against torch, on a bag's frames
#   make recipes                     every recipe, 200 steps each: the table of docs/training.md
#   make extras                      every optional term, with and without: likewise
#   make lint                        ruff, mypy, codespell
#   make docs                        rewrite the option tables of the documents
# Each sets up .venv first. DISTRO=kilted takes ROS 2 Kilted instead of Jazzy, in .venv-kilted.

SHELL := /bin/bash
PYTHON ?= python3
DISTRO ?= jazzy
BAG ?=
LOOPS ?= 1
OUT ?= out

VENV_jazzy := .venv
VENV_kilted := .venv-kilted
CONSTRAINTS_jazzy := constraints.txt
CONSTRAINTS_kilted := constraints-kilted.txt
VENV := $(VENV_$(DISTRO))
CONSTRAINTS := $(CONSTRAINTS_$(DISTRO))
ifeq ($(VENV),)
$(error DISTRO=$(DISTRO) is not known: expected jazzy or kilted)
endif

STAMP := $(VENV)/.installed
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest

.PHONY: setup demo test test-slow lint bench agreement recipes extras docs clean
.DEFAULT_GOAL := test

setup: $(STAMP)

$(STAMP): setup.py setup.cfg $(CONSTRAINTS) constraints-python.txt
	@echo "setting up $(VENV) (about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade-strategy only-if-needed -c $(CONSTRAINTS) -e '.[all,dev]'
	@touch $@

demo: $(STAMP)
	$(BIN)/sfm-depth demo $(BAG) --loops $(LOOPS) --out $(OUT)/demo

test: $(STAMP)
	$(PYTEST) -m "not slow" -n 2 --dist loadfile $(ARGS)

test-slow: $(STAMP)
	$(PYTEST) -m slow $(ARGS)

bench: $(STAMP)
	mkdir -p $(OUT)/bench
	$(BIN)/sfm-depth bench --json $(OUT)/bench/bench.json $(ARGS)

agreement: $(STAMP)
	$(BIN)/python -m tools.networks_agreement $(BAG) docs/benchmarks.md $(ARGS)

recipes: $(STAMP)
	$(BIN)/python -m tools.recipes --out $(OUT)/recipes --document docs/training.md --readme README.md $(ARGS)

extras: $(STAMP)
	$(BIN)/python -m tools.extras --out $(OUT)/extras --document docs/training.md $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell sfm_depth_ros tools launch config docs test README.md CONTRIBUTING.md CHANGELOG.rst Makefile

docs: $(STAMP)
	$(BIN)/python -m tools.option_tables README.md docs/*.md

clean:
	rm -rf out build dist install log .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
