# Everything runs out of .venv, which `make install` fills. `make` alone lists the targets.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input
STAMP := $(VENV)/.installed
WORKERS ?= 2
ARGS ?=

.DEFAULT_GOAL := help
.ONESHELL:
.SHELLFLAGS := -euc
.PHONY: help install demo test test-faults check format docs dist audit clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

install: $(STAMP) ## set up .venv (about 2 minutes, 6 GB); again only when pyproject.toml or constraints.txt change

demo: $(STAMP) ## the whole chain on simulated data: pairs, pretraining, detectors, AP report (about 10 minutes)
	@$(BIN)/osm demo $(ARGS)

test: check ## make check, then the tests (ARGS="-k name" for some of them)
	@$(BIN)/pytest -n $(WORKERS) $(ARGS)

test-faults: $(STAMP) ## every long command killed, starved and disturbed (about 10 minutes); prints a table of what happened
	@rm -f build/faults.jsonl
	$(BIN)/pytest -m faults -n $(WORKERS) tests/faults $(ARGS)
	$(BIN)/python -m tests.faults.table

check: $(STAMP) ## lint, format, types, import layers
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## put the code into the one format, and mend what the linter can mend
	@$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

docs: $(STAMP) ## the site of the documentation, strictly, into build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	echo "file://$$PWD/build/site/index.html"

dist: $(STAMP) ## wheel and sdist into dist/
	@rm -rf dist
	$(BIN)/python -m hatchling build -t sdist -t wheel
	ls -1 dist

audit: $(STAMP) ## licences of what is installed; known vulnerabilities of constraints.txt (asks a database on the network)
	@$(BIN)/pytest tests/packaging/test_licences.py
	$(PIP) pip-audit
	$(BIN)/pip-audit --strict --no-deps --disable-pip -r constraints.txt

clean: ## remove .venv and all caches (work_dirs stays)
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last: after an interrupted or failed install it is missing, and the next run
# goes over everything again. A package that pip was killed in the middle of may already look
# installed but has no INSTALLER yet, so it is forgotten first.
$(STAMP): pyproject.toml constraints.txt
	@rm -f $@
	if ! $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 10))' 2> /dev/null; then
		python=; seen=; bare=
		for name in python3.13 python3.12 python3.11 python3.10 python3.14 python3; do
			command -v $$name > /dev/null || continue
			version=$$($$name -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null) || continue
			seen="$$seen $$name ($$version)"
			$$name -c 'import sys; sys.exit(sys.version_info < (3, 10))' || continue
			if $$name -c 'import venv, ensurepip' 2> /dev/null; then python=$$name; break; fi
			bare="$$bare $$name"
		done
		if [ -z "$$python" ] && [ -n "$$bare" ]; then
			echo "error:$$bare: found no venv or ensurepip module; expected both; apt-get install python3-venv" >&2
			exit 2
		elif [ -z "$$python" ]; then
			echo "error: python3: found$${seen:- none}; expected Python 3.10 or newer; install it, with its venv module" >&2
			exit 2
		fi
		echo "Making $(VENV) with $$python ($$version)"
		$$python -m venv --clear $(VENV)
	fi
	for info in $(VENV)/lib/python3*/site-packages/*.dist-info; do
		[ -e "$$info/INSTALLER" ] || rm -rf "$$info"
	done
	echo "Installing into $(VENV): about 2 minutes, 6 GB with PyTorch's GPU libraries ..."
	$(PIP) -c constraints.txt -e '.[dev]'
	# mmdet's dependencies bring two OpenCVs into one folder; the one for desktops needs libGL
	$(BIN)/python -c 'import cv2' 2> /dev/null || \
		$(PIP) --force-reinstall --no-deps -c constraints.txt opencv-python-headless
	$(BIN)/osm doctor > $(VENV)/doctor.txt || { cat $(VENV)/doctor.txt; exit 1; }
	date > $@
	echo "Installed; 'source $(BIN)/activate' puts osm on your path"
