# Fault injection: each call of the library fails in turn, in each scenario.
#
#   make inject             all; SAMPLE=1 a random part of a minute, chosen by SEED=
#   make inject SCENARIO=crash CALL=pipe2 ERRNO=EMFILE NTH=1 PROCESS=supervisor V=1
#
# The library is built apart, without tail calls: the shim knows its calls by their return address.
# Nor has it the functions of the C library that check sizes, which have names of their own.
#
# SPDX-License-Identifier: MIT

TRUST += inject
.PHONY: inject-run

help::
	@echo 'make inject       let each call fail: SAMPLE=1, SEED=, SCENARIO= CALL= ERRNO= NTH= PROCESS='

INJECT = build/inject
INJECT_FLAGS = -O2 -g -fno-optimize-sibling-calls -U_FORTIFY_SOURCE

inject:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh inject
	@$(MAKE) --no-print-directory BUILD=$(INJECT) CXXFLAGS='$(INJECT_FLAGS)' SAN= inject-run

INJECT_PROGRAMS = $(INJECT)/tests/inject/shim.so $(INJECT)/tests/inject/run \
	$(INJECT)/tests/inject/scenarios

$(INJECT)/tests/inject/shim.so: $(wildcard tests/inject/*.[ch]) $(INJECT)/flags
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(compile_c) -O2 -fno-builtin -fPIC -shared -Itests/inject -o $@ tests/inject/shim.c -ldl

$(INJECT)/tests/inject/run: tests/inject/run.c $(INJECT)/flags
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(compile_c) -o $@ $<

$(INJECT)/tests/inject/scenarios: $(wildcard tests/inject/*.[ch]) $(INJECT)/libprefork.so \
		$(INJECT)/flags
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(compile_c) -Itests/inject -o $@ tests/inject/scenarios.c tests/inject/scene.c \
		tests/inject/sockets.c tests/inject/runs.c tests/inject/systems.c \
		tests/inject/upgrades.c -pthread \
		-L$(INJECT) -lprefork -Wl,-rpath,'$$ORIGIN/../..'

inject-run: $(INJECT_PROGRAMS)
	$(Q)INJECT_DIR='$(INJECT)/tests/inject' INJECT_LIBRARY='$(INJECT)/libprefork.so' \
		SAMPLE='$(SAMPLE)' SEED='$(SEED)' $(foreach name,SCENARIO CALL ERRNO NTH PROCESS EACH JOBS V,\
		$(if $($(name)),$(name)='$($(name))')) python3 tests/inject/inject.py
