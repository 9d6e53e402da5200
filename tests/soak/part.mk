# Three pools in the chaos, observed from outside.
#
#   make soak SECONDS=30 SEED=1      SAMPLE=1: 30 seconds; without SECONDS= ten minutes
#
# SPDX-License-Identifier: MIT

TRUST += soak
.PHONY: soak-run

SOAK = $(BUILD)/tests/soak/soak
SOAK_SOURCES := $(sort $(wildcard tests/soak/*.c))
SOAK_OBJECTS := $(SOAK_SOURCES:%.c=$(BUILD)/%.o)
SOAK_SECONDS = $(or $(SECONDS),$(if $(SAMPLE),30,600))

help::
	@echo 'make soak         kill, stop and reload workers at random for SECONDS=, and observe; SEED='

$(BUILD)/tests/soak/%.o: tests/soak/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(compile_c) -Itests/support $(dependencies) -c -o $@ $<

$(SOAK): $(SOAK_OBJECTS) $(BUILD)/tests/libsupport.a $(LIBRARY)
	$(say) LINK $@
	$(Q)$(CC) $(PF_SANITIZE) $(CFLAGS) -o $@ $(SOAK_OBJECTS) $(BUILD)/tests/libsupport.a \
		$(call link_library,../..) -ldl -pthread

-include $(wildcard $(SOAK_OBJECTS:=.d))

soak:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh soak
	@$(MAKE) --no-print-directory soak-run

soak-run: all $(SOAK)
	$(Q)SAMPLE='$(SAMPLE)' tests/soak/soak.sh $(SOAK) $(SOAK_SECONDS) $(or $(SEED),$$(date +%s))
