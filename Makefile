# Every target does its own set-up: a bare Debian 12 with git, make and python3.11 is enough.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint style types tests walls faults schemas wheel wheelhouse requirements clean

# Everything that is made stays in the clone.
export THALWEG_KERNEL_CACHE ?= $(CURDIR)/.cache/kernels

BIN := .venv/bin
RUN := .venv/made-run
TEST := .venv/made-test

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(RUN) ## a synthetic winter scene, three snow products and their pictures
	$(BIN)/thalweg demo

test: $(TEST) ## style, types and all tests, each even where another fails (no network once set up, no cluster)
	@failed=; for part in style types tests; do $(MAKE) --no-print-directory $$part || failed=1; done; [ -z "$$failed" ]

lint: $(TEST) style types walls ## style, types and who may import whom

style: $(TEST)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(TEST)
	@mkdir -p .cache
	scripts/typecheck

tests: $(TEST)
	$(BIN)/pytest -q

walls: $(TEST)
	$(BIN)/pytest -q tests/test_walls.py tests/test_house.py

faults: $(TEST) ## kill a run fifty times and compare what it leaves
	$(BIN)/pytest -q -m faults

bench-%: $(TEST) ## side-by-side timings, such as make bench-snow
	$(BIN)/python benchmarks/$*.py

schemas: $(TEST) ## write the generated schemas again
	$(BIN)/thalweg chain schemas --to configs/chains
	$(BIN)/thalweg campaign schemas --to docs/reference

wheel: $(TEST) ## build the source distribution and the wheel into dist/
	$(BIN)/python -m build --no-isolation --outdir dist .

wheelhouse: $(TEST) ## gather all wheels for nodes without network into dist/wheelhouse
	scripts/wheelhouse

PIN := uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header

requirements: ## pin the requirements again (needs uv)
	$(PIN) pyproject.toml requirements/run.in --output-file requirements/run.txt
	$(PIN) pyproject.toml requirements/run.in requirements/test.in --constraint requirements/run.txt \
		--output-file requirements/test.txt
	$(PIN) pyproject.toml --extra campaign --extra science requirements/run.in requirements/site.in \
		--constraint requirements/test.txt --output-file requirements/site.txt

clean: ## remove whatever was made
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN): requirements/run.txt pyproject.toml scripts/environment
	scripts/environment run

$(TEST): requirements/test.txt pyproject.toml scripts/environment
	scripts/environment test
