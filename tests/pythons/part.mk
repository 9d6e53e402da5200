# The Python binding under the versions of Python that other releases of Debian have, each in a root
# of its own: make pythons. PYTHONS= chooses.
#
# SPDX-License-Identifier: MIT

TRUST += pythons
PYTHONS = $(if $(SAMPLE),3.14,3.13 3.14)
PYTHONS_PREFIX = $(abspath $(BUILD))/pythons/prefix

help::
	@echo 'make pythons      the Python binding under versions of Python that are not on this machine'

.PHONY: pythons-run
pythons:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh pythons
	@$(MAKE) --no-print-directory pythons-run

# What this machine lacks is no failure, and nothing passed either.
pythons-run: all $(BUILD)/tests/programs/load
	@rm -rf '$(PYTHONS_PREFIX)'
	@$(MAKE) --no-print-directory install prefix='$(PYTHONS_PREFIX)' exec_prefix='$(PYTHONS_PREFIX)' \
		libdir='$(PYTHONS_PREFIX)/lib' includedir='$(PYTHONS_PREFIX)/include' DESTDIR= >/dev/null
	+@$(SCRIPT_ENV) SAMPLE='$(SAMPLE)' tests/pythons/pythons.sh '$(PYTHONS_PREFIX)' $(PYTHONS) || \
		{ test $$? -eq 77 && echo '0 passed, 0 failed'; }
