# The interface beside the baselines in tests/abi/baseline.
#
#   make baseline           SAVE=1 stores this tree as the baseline of its version, before its release
#
# SPDX-License-Identifier: MIT

TRUST += baseline
.PHONY: baseline-run

help::
	@echo 'make baseline     compare the interface with the stored one; SAVE=1 stores it'

baseline:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh baseline
	@$(MAKE) --no-print-directory baseline-run

baseline-run: all
	$(Q)$(SCRIPT_ENV) SAVE='$(SAVE)' tests/abi/run_baseline.sh
