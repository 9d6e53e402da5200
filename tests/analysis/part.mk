# Static analysis, valgrind, races and conversions; and how much of lib/ the tests execute.
#
# SPDX-License-Identifier: MIT

TRUST += analysis coverage

help::
	@echo 'make analysis     cppcheck, gcc -fanalyzer, valgrind, races and conversions'
	@echo 'make coverage     the lines and branches of lib/ that the tests execute; LIST=1'

analysis:
	@tests/support/deps.sh analysis
	+@env -u MAKEFLAGS MAKE='$(MAKE)' SAMPLE='$(SAMPLE)' SEED='$(SEED)' tests/analysis/analysis.sh

# It works for a few minutes or not at all.
coverage:
	@tests/support/deps.sh analysis
	+@env -u MAKEFLAGS MAKE='$(MAKE)' LIST='$(LIST)' SAMPLE='$(SAMPLE)' tests/analysis/coverage.sh
