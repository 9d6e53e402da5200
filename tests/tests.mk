# The part of the Makefile that tests, measures and checks the library.
#
# TEST=name is one test of make check, SAN=address,undefined or SAN=thread builds all with these
# sanitizers, in a directory apart.
#
# SPDX-License-Identifier: MIT

CLANG_FORMAT ?= clang-format
CLANG_TIDY ?= clang-tidy
TEST =

.PHONY: demo demo-run check check-run sim bench bench-run cost cost-run load load-run \
	lint lint-run installcheck installcheck-run bindings-check deps tests examples programs format

help::
	@echo 'make demo         the demonstration server, started, used, crashed and stopped'
	@echo 'make sim          the simulator: SEED= STEPS= HISTORIES= SECONDS='
	@echo 'make check        every test; TEST=name for one, SAN=address,undefined for sanitizers'
	@echo 'make cost         count what one restart costs, and compare; SAVE=1 accepts it'
	@echo 'make bench        measure the library beside the smallest possible fork loops'
	@echo 'make load         reload a server and kill its workers under the load of wrk, and count'
	@echo 'make lint         formatting, static analysis, spelling and the rules of the house'
	@echo 'make format       set lib, tests and examples as lint wants them, in the pages too'
	@echo 'make installcheck install into a scratch directory, build and run a consumer there'
	@echo 'make bindings-check  the tests of the bindings, against an installation; LANGUAGES=go'
	@echo 'make trust        all of the long tests below; SAMPLE=1 for a minute of each, SEED='
	@echo 'make deps         install with apt-get whatever the targets above need'

# ---- Sources and products --------------------------------------------------------------

# Programs find the library beside them, wherever the tree is; $(1) is the way up to it.
link_library = -L$(BUILD) -Wl,--as-needed -lprefork -Wl,-rpath,'$$ORIGIN/$(1)' $(LDFLAGS)
cmocka_cflags = $(shell $(PKG_CONFIG) --cflags cmocka)
cmocka_libs = $(shell $(PKG_CONFIG) --libs cmocka)

# With sanitizers the library itself is built for tests, by the same options.
TESTING_OBJECTS := $(if $(SAN),$(LIB_OBJECTS),$(LIB_SOURCES:lib/%.cc=$(BUILD)/lib-testing/%.o))
SUPPORT_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/support/*.c)))
UNIT_TESTS := $(patsubst %.cc,$(BUILD)/%,$(sort $(wildcard tests/unit/*_test.cc)))
API_TESTS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/api/*_test.c)))
PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/programs/*.c)))
# What a source needs beside the library, as pkg-config knows it. Without that it is left out.
PACKAGE_libuv = libuv
PACKAGE_libevent = libevent_core
PACKAGE_glib = glib-2.0
PACKAGE_evhttp = libevent_extra libevent_core
PACKAGE_microhttpd = libmicrohttpd
package = $(PACKAGE_$(basename $(notdir $(1))))
package_flags = $(if $(call package,$(2)),$(shell $(PKG_CONFIG) --$(1) $(call package,$(2))))
is_missing = $(if $(call package,$(1)),$(shell $(PKG_CONFIG) --exists $(call package,$(1)) 2>/dev/null || echo 1))
buildable = $(foreach source,$(1),$(if $(call is_missing,$(source)),,$(source)))
EXAMPLES := $(patsubst man/%.c,$(BUILD)/%,$(call buildable,$(sort $(wildcard man/examples/*.c))))
LOOPS := $(patsubst %.c,$(BUILD)/%,$(call buildable,$(sort $(wildcard tests/loops/*.c))))
BENCHES := $(patsubst tests/%.c,$(BUILD)/%,$(sort $(wildcard tests/bench/*.c)))
COUNTED := $(addprefix $(BUILD)/bench/,cost floor lean ours)

# Scripts that look at the tree, at the plain build, or at what is installed from it. They
# have nothing to say about a build with sanitizers.
LINT_CHECKS := $(addprefix tests/lint/,layers.sh sizes.sh ffi.sh man.sh html.sh versions.sh \
	service.sh manifest.sh security.sh)
ABI_CHECKS := $(sort $(wildcard tests/abi/*_test.sh))
INSTALL_CHECKS := $(sort $(wildcard tests/install/*_test.sh))
LOOP_CHECKS := $(filter %_test,$(LOOPS)) $(sort $(wildcard tests/loops/*_test.sh))
DEMO_CHECKS := $(sort $(wildcard tests/demo/*_test.sh))
SIM_CHECKS := $(sort $(wildcard tests/sim/*_test.sh))
DENY_CHECKS := $(sort $(wildcard tests/deny/*_test.sh))
COST_CHECKS := $(sort $(wildcard tests/bench/*_test.sh))
FUZZ_CHECKS := $(sort $(wildcard tests/fuzz/*_test.sh))
SUPPORT_CHECKS := tests/support/runner_test.sh
COMPARE_CHECKS := $(sort $(wildcard tests/compare/*_test.sh))
COMMAND_CHECKS := $(sort $(wildcard tests/command/*_test.sh))
# Their system calls have the names that they have in a 64-bit glibc.
can_feed = $(shell $(CXX) $(CPPFLAGS) $(CXXFLAGS) -include features.h -dM -E -x c++ /dev/null | \
	grep -c ' __GLIBC__ [0-9]\| __LP64__ 1')
FUZZ_FEEDS = $(if $(filter 2,$(can_feed)),$(patsubst tests/fuzz/%_fuzz.cc,$(BUILD)/tests/fuzz/%,\
	$(sort $(wildcard tests/fuzz/*_fuzz.cc))))

# SUITES= chooses the folders of tests/ that are played. ThreadSanitizer runs a thread of its own
# in every process, and pf_fork_processes() rightly refuses to fork beside another thread: there
# run the unit tests, and the test whose pools allow it.
THREAD_TESTS = $(BUILD)/tests/api/pools_in_threads_test
ifneq ($(findstring thread,$(SAN)),)
SUITES = unit api
else ifneq ($(SAN),)
SUITES = unit api fuzz
else
SUITES = unit api loops abi lint install demo sim bench fuzz deny command support compare
endif
# Those that wait or work for long come first, so that none of them is left alone at the end.
SLOW_CHECKS := $(addprefix $(BUILD)/tests/,loops/idle_test $(addprefix api/,heartbeat_test \
	host_fork_test pool_refused_signals_test pool_traced_test lifetime_test replace_budget_test \
	reload_storm_test escalation_test stop_pause_test reload_test ready_test)) \
	tests/abi/platforms_test.sh tests/abi/static_test.sh tests/demo/load_test.sh tests/lint/man.sh
ALL_CHECKS := $(UNIT_TESTS) $(if $(findstring thread,$(SAN)),$(THREAD_TESTS),$(API_TESTS)) \
	$(LOOP_CHECKS) $(ABI_CHECKS) $(LINT_CHECKS) $(INSTALL_CHECKS) $(DEMO_CHECKS) $(SIM_CHECKS) \
	$(COST_CHECKS) $(FUZZ_CHECKS) $(DENY_CHECKS) $(COMMAND_CHECKS) $(SUPPORT_CHECKS) \
	$(COMPARE_CHECKS)
ALL_CHECKS := $(filter $(SLOW_CHECKS),$(ALL_CHECKS)) $(filter-out $(SLOW_CHECKS),$(ALL_CHECKS))
SUITE_CHECKS := $(filter $(foreach suite,$(SUITES),$(BUILD)/tests/$(suite)/% tests/$(suite)/%),$(ALL_CHECKS))
# TEST=name is the name of one file of tests/*/, with or without its ending.
matching = $(foreach check,$(1),$(if $(filter $(TEST),$(basename $(notdir $(check))) \
	$(notdir $(check))),$(check)))
CHECKS := $(strip $(if $(TEST),$(call matching,$(SUITE_CHECKS)),$(SUITE_CHECKS)))

# What the scripts of tests/ are told.
SCRIPT_ENV = CC='$(CC)' CXX='$(CXX)' PKG_CONFIG='$(PKG_CONFIG)' BUILD_DIR='$(abspath $(BUILD))' \
	PF_PROGRAMS_DIR='$(abspath $(BUILD))/tests/programs' \
	PF_EXAMPLES_DIR='$(abspath $(BUILD))/examples' SAN='$(SAN)' V='$(V)' MAKE='$(MAKE)' \
	CLANG_FORMAT='$(CLANG_FORMAT)' CLANG_TIDY='$(CLANG_TIDY)'

# ---- Tests, programs, examples, bench --------------------------------------------------

$(BUILD)/lib-testing/%.o: lib/%.cc $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CXX '$< (for tests)'
	$(Q)$(compile_cxx) -DPF_TESTING -Ilib $(dependencies) -c -o $@ $<

$(BUILD)/tests/unit/%: tests/unit/%.cc $(TESTING_OBJECTS) $(BUILD)/objects
	@mkdir -p $(@D)
	$(say) TEST $<
	$(Q)$(compile_cxx) -DPF_TESTING -Ilib -Itests/support $(cmocka_cflags) $(dependencies) \
		-o $@ $< $(TESTING_OBJECTS) $(LDFLAGS) $(cmocka_libs)

$(BUILD)/tests/support/%.o: tests/support/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(compile_c) -Itests/support $(cmocka_cflags) $(dependencies) -c -o $@ $<

# An archive, so that each program takes only the helpers that it uses. What stands for calls of
# libc is linked with the programs that let them fail, and with no other.
FAILING = $(BUILD)/tests/support/failing.o
$(BUILD)/tests/libsupport.a: $(filter-out $(FAILING),$(SUPPORT_OBJECTS))
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(filter %_calls_test,$(API_TESTS)) $(BUILD)/tests/programs/upgrader: $(FAILING)

$(BUILD)/tests/api/%: tests/api/%.c $(BUILD)/tests/libsupport.a $(LIBRARY) $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) TEST $<
	$(Q)$(compile_c) -Itests/support $(cmocka_cflags) $(dependencies) -o $@ $< $(filter %.o,$^) \
		$(BUILD)/tests/libsupport.a $(call link_library,../..) $(cmocka_libs)

$(BUILD)/tests/programs/%: tests/programs/%.c $(BUILD)/tests/libsupport.a $(LIBRARY) $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(compile_c) -Itests/support $(dependencies) -o $@ $< $(filter %.o,$^) \
		$(BUILD)/tests/libsupport.a $(call link_library,../..) -ldl

$(BUILD)/tests/loops/%: tests/loops/%.c $(BUILD)/tests/libsupport.a $(LIBRARY) $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(compile_c) -Itests/support $(cmocka_cflags) $(call package_flags,cflags,$<) \
		$(dependencies) -o $@ $< $(BUILD)/tests/libsupport.a $(call link_library,../..) \
		$(cmocka_libs) $(call package_flags,libs,$<)

$(BUILD)/examples/%: man/examples/%.c $(LIBRARY) $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(compile_c) $(call package_flags,cflags,$<) $(dependencies) -o $@ $< \
		$(call link_library,..) $(call package_flags,libs,$<)

$(BUILD)/bench/%: tests/bench/%.c $(LIBRARY) $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(compile_c) -Itests/bench $(dependencies) -o $@ $< $(call link_library,..) -Wl,-z,now

examples: $(EXAMPLES)
programs: $(PROGRAMS)

# ---- The simulator ---------------------------------------------------------------------
# The real core and runtime, as they are in the library, over an os that is not real.

SIM = $(BUILD)/tests/sim/sim
SIM_OBJECTS := $(patsubst tests/sim/%.cc,$(BUILD)/tests/sim/objects/%.o,\
	$(sort $(wildcard tests/sim/*.cc)))
SIM_LIB_OBJECTS := $(filter $(BUILD)/lib/core/% $(BUILD)/lib/runtime/%,$(LIB_OBJECTS)) \
	$(patsubst %,$(BUILD)/tests/sim/renamed/%.o,service/notify channel/supervisor_channel \
	channel/channel_snapshot signals/wakeup $(addprefix watch/,children epoll event_loop timer))
compile_sim = $(CXX) $(PF_CPPFLAGS) $(CPPFLAGS) -std=c++20 $(PF_WARNINGS) -Wsign-conversion \
	-Wold-style-cast -Wnon-virtual-dtor $(sim_warnings) $(PF_SANITIZE) $(CXXFLAGS)
# It has methods of its own in the place of those that use the fields of os.
ifneq ($(is_clang),)
sim_warnings = -Wno-unused-private-field
endif

$(BUILD)/tests/sim/objects/%.o: tests/sim/%.cc $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) TEST $<
	$(Q)$(compile_sim) -Ilib -Itests/sim $(dependencies) -c -o $@ $<

# The real notifier, channel and event loop, under other names: the simulator looks at what is called
# of them.
$(BUILD)/tests/sim/renamed/%.o: $(BUILD)/lib/os/%.o tests/sim/renamed.txt
	@mkdir -p $(@D)
	$(Q)$(OBJCOPY) --wildcard --remove-section='.gnu.lto_*' --strip-symbol='__gnu_lto_*' \
		--redefine-syms=tests/sim/renamed.txt $< $@

# Every call for memory is led to the simulator, which says whether there is any; and so is what
# the notifier calls.
$(SIM): $(SIM_OBJECTS) $(SIM_LIB_OBJECTS) tests/sim/wrapped.txt
	$(say) LINK $@
	$(Q)$(CXX) $(PF_SANITIZE) $(CXXFLAGS) $(LDFLAGS) -o $@ $(SIM_OBJECTS) $(SIM_LIB_OBJECTS) \
		$(shell cat tests/sim/wrapped.txt)

# SEED=, STEPS= (operations of a history), HISTORIES=, SECONDS=: see tests/sim/sim.cc.
sim: $(SIM)
	$(Q)$(SIM) $(if $(SEED),--seed $(SEED)) $(if $(STEPS),--steps $(STEPS)) \
		$(if $(HISTORIES),--histories $(HISTORIES)) $(if $(SECONDS),--seconds $(SECONDS))

# ---- demo, check, bench, lint ----------------------------------------------------------
# Each first sees to its tools and libraries, then runs make again for the work itself, as
# some flags can only be asked for when these are there.

demo:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh demo
	@$(MAKE) --no-print-directory demo-run

demo-run: all examples
	$(Q)$(SCRIPT_ENV) tests/demo/demo.sh

check:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh check
	@$(MAKE) --no-print-directory check-run

# All that has to be compiled, for those who want to see that it is without a warning.
tests: $(UNIT_TESTS) $(API_TESTS) $(LOOPS) $(PROGRAMS) $(EXAMPLES) $(BENCHES)

# The tests that run with ThreadSanitizer execute no program.
check-run: all $(if $(findstring thread,$(SAN)),,$(PROGRAMS) $(EXAMPLES) $(LOOPS)) $(CHECKS) \
		$(if $(filter tests/sim/%,$(CHECKS)),$(SIM)) \
		$(if $(filter tests/bench/%,$(CHECKS)),$(COUNTED)) \
		$(if $(filter tests/fuzz/%,$(CHECKS)),$(FUZZ_FEEDS))
	@test -n '$(CHECKS)' || { echo 'no test is named $(TEST)' >&2; exit 1; }
	@$(SCRIPT_ENV) tests/support/run.sh $(CHECKS)

cost:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh build
	@$(MAKE) --no-print-directory cost-run

cost-run: all $(COUNTED)
	$(Q)$(SCRIPT_ENV) SAVE='$(SAVE)' tests/bench/cost_test.sh

bench:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh build
	@$(MAKE) --no-print-directory bench-run

bench-run: all $(BENCHES)
	$(Q)BENCH_DIR='$(BUILD)/bench' tests/bench/run.sh

load:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh load
	@$(MAKE) --no-print-directory load-run

load-run: all examples
	$(Q)$(SCRIPT_ENV) tests/bench/reload_load.sh
	$(Q)$(SCRIPT_ENV) tests/bench/reload_load.sh -x

lint:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh lint
	@$(MAKE) --no-print-directory lint-run

lint-run: all
	@$(SCRIPT_ENV) TEST_LIMIT_S=$$((900 * $${TEST_TIME_SCALE:-1})) tests/support/run.sh $(LINT_CHECKS) \
		$(addprefix tests/lint/,selftest.sh format.sh tidy.sh shell.sh spelling.sh)

# The public header is set by hand.
FORMATTED = $(sort $(wildcard lib/*/*.[ch] lib/*/*.cc lib/*/*/*.[ch] lib/*/*/*.cc \
	tests/*/*.[ch] tests/*/*.cc tests/abi/old/*.[ch] tests/install/cmake/*.cc bindings/shell/*.[ch] man/examples/*.c \
	$(addprefix bindings/cpp/,include/*.hpp include/*/*.hpp tests/*.cc tests/*.hpp examples/*.cc)))
format:
	$(Q)$(CLANG_FORMAT) -i $(filter-out man/examples/hello.c,$(FORMATTED))
	$(Q)$(CLANG_FORMAT) --style=file:.clang-format -i man/examples/hello.c
	$(Q)tests/support/set_examples.sh
	$(Q)page=$$(tests/deny/page.sh) && printf '%s\n' "$$page" >man/prefork-kernel.7

deps:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh all

installcheck:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh check
	@$(MAKE) --no-print-directory installcheck-run

installcheck-run: all
	@$(SCRIPT_ENV) tests/support/run.sh $(INSTALL_CHECKS)

# ---- bindings --------------------------------------------------------------------------
# Against the library as it is installed. LANGUAGES= chooses; one that is not here is skipped.

# Those that take longest come first.
slow_languages = python cpp java rust go
all_languages = $(notdir $(patsubst %/check.sh,%,$(wildcard bindings/*/check.sh)))
LANGUAGES = $(slow_languages) $(filter-out $(slow_languages),$(all_languages))
BINDINGS_PREFIX = $(abspath $(BUILD))/bindings/prefix

bindings-check: all $(BUILD)/tests/programs/load
	@rm -rf '$(BINDINGS_PREFIX)'
	@$(MAKE) --no-print-directory install prefix='$(BINDINGS_PREFIX)' exec_prefix='$(BINDINGS_PREFIX)' \
		libdir='$(BINDINGS_PREFIX)/lib' includedir='$(BINDINGS_PREFIX)/include' DESTDIR= >/dev/null
	+@NO_SKIP='$(NO_SKIP)' LOAD='$(abspath $(BUILD)/tests/programs/load)' \
		bindings/check.sh '$(BINDINGS_PREFIX)' $(LANGUAGES)

# ---- Parts that work for minutes or hours ----------------------------------------------
# A folder of tests/ with a part.mk has a target of its own and adds its name to TRUST. It obeys
# SAMPLE=1 (a minute at most) and SEED=, and ends with "N passed, N failed".

TRUST =
SAMPLE =
include $(sort $(wildcard tests/*/part.mk))

.PHONY: trust $(TRUST)
trust:
	+@SAMPLE='$(SAMPLE)' SEED='$(SEED)' MAKE='$(MAKE)' tests/support/trust.sh $(sort $(TRUST))

-include $(wildcard $(addsuffix .d,$(TESTING_OBJECTS) $(SUPPORT_OBJECTS) $(SIM_OBJECTS) \
	$(UNIT_TESTS) $(API_TESTS) $(LOOPS) $(PROGRAMS) $(EXAMPLES) $(BENCHES)))
