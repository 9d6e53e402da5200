# Whether the simulator bites. SAMPLE=1: five of the mutants, chosen by SEED=.
#
# SPDX-License-Identifier: MIT

TRUST += sim-mutants
.PHONY: sim-mutants-run

help::
	@echo 'make sim-mutants  show that the simulator finds deliberate defects; SAMPLE=1, SEED='

sim-mutants:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh build
	@$(MAKE) --no-print-directory sim-mutants-run

sim-mutants-run: $(SIM)
	$(Q)$(SCRIPT_ENV) SAMPLE='$(SAMPLE)' SEED='$(SEED)' tests/sim/mutants.sh
