# Other kernels: gVisor by runsc, real ones by qemu. SYSTEM= chooses.
#
# SPDX-License-Identifier: MIT

TRUST += kernels
SYSTEM =
# No other target needs to read the list.
ifneq ($(filter kernels-run,$(MAKECMDGOALS)),)
KERNEL_PROGRAMS := $(patsubst %,$(BUILD)/tests/%,\
	$(shell awk \
	'/^[a-z]/ && ("$(SAMPLE)" == "" || $$2 == "sample") { print $$1 }' \
	tests/kernels/core.txt))
endif

help::
	@echo 'make kernels      the core of the suite on other kernels; SYSTEM=gvisor, 5.10, 6.1, 6.12'

$(BUILD)/tests/kernels/facts: tests/kernels/facts.c $(LIBRARY) $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(compile_c) $(dependencies) -o $@ $< $(call link_library,../..)

.PHONY: kernels-run
kernels:
	@tests/support/deps.sh kernels
	+@$(MAKE) --no-print-directory kernels-run

kernels-run: all $(KERNEL_PROGRAMS) $(PROGRAMS) $(BUILD)/tests/kernels/facts
	@$(SCRIPT_ENV) SAMPLE='$(SAMPLE)' tests/kernels/kernels.sh $(SYSTEM)
