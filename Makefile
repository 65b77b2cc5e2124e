# Every target is short: what it does is in the file that it calls.

# Debian's own Python: another one on the PATH may lack what the distribution's has.
PYTHON := /usr/bin/python3
VENV := .venv/bin/python
FAST := tests/static tests/unit tests/contract tests/policy tests/fuzz
SLOW := tests/bench tests/keepassxc tests/kit tests/lab/selftest tests/packages tests/salt tests/scenarios
KILL := tests/kill
ROLES := dom0 common client maintenance vault worker
# Two for each processor: half of a scenario's time is spent waiting.
WORKERS := $(shell expr 2 '*' `nproc`)
# A file's tests stay together: those of one file share a lab. Their order is tests/conftest.py's.
PYTEST := $(VENV) -m pytest --numprocesses=$(WORKERS) --maxprocesses=8 --dist=loadfile --no-loadscope-reorder
DESTDIR :=

.DEFAULT_GOAL := help
.PHONY: help demo test test-kill test-user check bench fuzz docs rpm deb clean $(ROLES:%=install-%)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.* ## /  make \1\t/p' $(MAKEFILE_LIST)
	@echo "  make install-ROLE DESTDIR=/some/root   ROLE: $(ROLES)"

demo: ## the whole way in a simulated Qubes: set up, enrol, back up, restore
	@$(PYTHON) tests/bootstrap.py demo
	@$(PYTHON) tests/demo

test: ## what check does, the lab's own tests, the scenarios in the lab; all but the long kills
	@$(PYTHON) tests/bootstrap.py test
	$(PYTEST) -m "not kill" $(SLOW) $(FAST)

check: ## the fast part: no lab, no root, some two minutes
	@$(PYTHON) tests/bootstrap.py check
	$(PYTEST) $(FAST)

test-kill: ## every kill in a set-up, an enrolment and a rotation: hours; RUN=rotate for one, ends in a table
	@$(PYTHON) tests/bootstrap.py test
	$(VENV) -m pytest --quiet --numprocesses=$(WORKERS) --maxprocesses=8 --dist=load $(if $(RUN),-k $(RUN) $(KILL),-m kill $(KILL) tests/scenarios)

test-user: ## a part of it in a fresh clone as a fresh user without any rights; needs root
	@$(PYTHON) tests/fresh_user.py

bench: ## how long things take against the same by hand, in a table; BENCH="--rows list" for one; an hour
	@$(PYTHON) tests/bootstrap.py bench
	@$(PYTHON) tests/bench $(BENCH)

fuzz: ## 200,000 inputs that lie for each parser, SEED=N for the same ones again; some minutes
	@$(PYTHON) tests/bootstrap.py fuzz
	@$(VENV) tests/fuzz $(if $(SEED),--seed $(SEED))

docs: ## write tables, manual, completions and the picture anew from what the code holds as data
	@$(PYTHON) tests/bootstrap.py check
	@$(VENV) tests/static/tables.py
	@$(VENV) tests/static/manpages.py
	@$(VENV) tests/static/completions.py
	@$(VENV) tests/static/picture.py

rpm: ## the packages for dom0 and Fedora templates, in build/rpm
	@$(PYTHON) tests/bootstrap.py rpm
	@$(PYTHON) rpm_spec/build.py rpm

deb: ## the packages for Debian templates, in build/deb
	@$(PYTHON) tests/bootstrap.py deb
	@$(PYTHON) rpm_spec/build.py deb

$(ROLES:%=install-%): install-%:
	@$(PYTHON) setup.py install_role --role $* --root "$(DESTDIR)/"

clean: ## remove what the targets above left in this folder
	rm -rf .venv .pytest_cache .hypothesis .mypy_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
