# libprefork: GNU make, no generator. `make help` lists the targets.
#
# SPDX-License-Identifier: MIT

# ---- What a user may set ---------------------------------------------------------------
# CC, CXX, CPPFLAGS, CFLAGS, CXXFLAGS and LDFLAGS belong to the user; our own flags come
# first, so that the user's win. V=1 shows the commands, WERROR=1 turns warnings to errors,
# SAN=address,undefined or SAN=thread builds with these sanitizers, in a directory apart.

ifeq ($(origin CC),default)
CC = gcc
endif
ifeq ($(origin CXX),default)
CXX = g++
endif
ifeq ($(origin AR),default)
AR = ar
endif
OBJCOPY ?= $(shell $(CC) -print-prog-name=objcopy)
# For size, which costs nothing that could be measured: a fork is what takes the time.
smallest := $(shell $(CXX) -Oz -E -x c++ /dev/null >/dev/null 2>&1 && echo -Oz || echo -Os)
CFLAGS ?= $(smallest) -g
CXXFLAGS ?= $(CFLAGS)
PKG_CONFIG ?= pkg-config
INSTALL ?= install
CLANG_FORMAT ?= clang-format
CLANG_TIDY ?= clang-tidy

prefix ?= /usr/local
exec_prefix ?= $(prefix)
libdir ?= $(exec_prefix)/lib
includedir ?= $(prefix)/include
pkgconfigdir ?= $(libdir)/pkgconfig
datarootdir ?= $(prefix)/share
datadir ?= $(datarootdir)
mandir ?= $(datarootdir)/man
docdir ?= $(datarootdir)/doc/libprefork

V = 0
WERROR = 0
SAN =
TEST =

BUILD = build
ifneq ($(findstring thread,$(SAN)),)
BUILD = build/tsan
else ifneq ($(SAN),)
BUILD = build/asan
endif

# ---- Version ---------------------------------------------------------------------------
# The three macros of the header are the only place that holds it.

version_part = $(shell sed -n 's/^.define PF_VERSION_$(1) //p' include/prefork.h)
MAJOR := $(call version_part,MAJOR)
VERSION := $(MAJOR).$(call version_part,MINOR).$(call version_part,PATCH)
SONAME := libprefork.so.$(MAJOR)
SHARED := libprefork.so.$(VERSION)

# ---- Flags -----------------------------------------------------------------------------

is_clang := $(findstring clang,$(shell $(CXX) --version 2>/dev/null))

PF_CPPFLAGS = -Iinclude
PF_WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion
ifeq ($(WERROR),1)
PF_WARNINGS += -Werror
endif
PF_CFLAGS = -std=c99 $(PF_WARNINGS)
# No exception passes through the library, so it needs no tables for that: a sixth of its size.
# They are made where the code is, with gcc in the link.
PF_NO_TABLES = -fno-asynchronous-unwind-tables
# C++ without its runtime: nothing that would need libstdc++ at run time.
PF_CXXFLAGS = -std=c++20 -D_FILE_OFFSET_BITS=64 -fno-exceptions -fno-rtti -fno-threadsafe-statics -fPIC -fno-plt \
	$(PF_NO_TABLES) -fvisibility=hidden -fvisibility-inlines-hidden $(PF_WARNINGS) \
	-Wsign-conversion -Wold-style-cast -Wnon-virtual-dtor
ifneq ($(is_clang),)
PF_CXXFLAGS += -Wglobal-constructors -Wexit-time-destructors
endif
# Checked iterators, which some systems switch on for all, would need libstdc++ too.
PF_CXXFLAGS_LAST = -U_GLIBCXX_ASSERTIONS
PF_LDFLAGS = -shared -Wl,-soname,$(SONAME) -Wl,--version-script,lib/prefork.map \
	-Wl,-z,relro,-z,now -Wl,-z,noseparate-code -Wl,-z,nodelete

# Seen as a whole the shared library is a seventh smaller. The objects hold plain code besides, and
# the archive holds that alone: the link of a program would compile the rest anew, with options of
# the program that need not fit (code made for strict aliasing, linked with -O1, crashes).
ifeq ($(is_clang)$(SAN),)
PF_LTO = -flto=auto -ffat-lto-objects
without_lto = $(OBJCOPY) --wildcard --remove-section='.gnu.lto_*' \
	--remove-section='.gnu.debuglto_*' --strip-symbol='__gnu_lto_*'
else
PF_LTO = -fno-lto
without_lto = :
endif

ifeq ($(SAN),)
# With -z defs a symbol of the C++ runtime is an error of the link.
PF_LDFLAGS += -Wl,-z,defs
else
# Sanitizers find their own symbols in the program; a broken invariant must abort.
PF_SANITIZE = -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer -DPF_TESTING
ifneq ($(findstring undefined,$(SAN)),)
# Checking vptr would need the type information that we leave out.
PF_SANITIZE += -fno-sanitize=vptr
endif
endif

compile_c = $(CC) $(PF_CPPFLAGS) $(CPPFLAGS) $(PF_CFLAGS) $(PF_SANITIZE) $(CFLAGS)
compile_cxx = $(CXX) $(PF_CPPFLAGS) $(CPPFLAGS) $(PF_CXXFLAGS) $(PF_SANITIZE) $(CXXFLAGS) \
	$(PF_CXXFLAGS_LAST)
dependencies = -MMD -MP -MF $@.d -MT $@
# Programs find the library beside them, wherever the tree is; $(1) is the way up to it.
link_library = -L$(BUILD) -Wl,--as-needed -lprefork -Wl,-rpath,'$$ORIGIN/$(1)' $(LDFLAGS)
cmocka_cflags = $(shell $(PKG_CONFIG) --cflags cmocka)
cmocka_libs = $(shell $(PKG_CONFIG) --libs cmocka)

ifeq ($(V),1)
Q =
say = @:
else
Q = @
say = @printf '  %-4s %s\n'
endif

# ---- Sources and products --------------------------------------------------------------

LIB_SOURCES := $(sort $(wildcard lib/*/*.cc lib/*/*/*.cc))
LIB_OBJECTS := $(LIB_SOURCES:%.cc=$(BUILD)/%.o)
TESTING_OBJECTS := $(LIB_SOURCES:lib/%.cc=$(BUILD)/lib-testing/%.o)
LIBRARY = $(BUILD)/libprefork.so

SUPPORT_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/support/*.c)))
UNIT_TESTS := $(patsubst %.cc,$(BUILD)/%,$(sort $(wildcard tests/unit/*_test.cc)))
API_TESTS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/api/*_test.c)))
PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/programs/*.c)))
# What a source needs beside the library, as pkg-config knows it. Without that it is left out.
PACKAGE_libuv = libuv
PACKAGE_libevent = libevent_core
PACKAGE_glib = glib-2.0
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
	service.sh manifest.sh)
ABI_CHECKS := $(sort $(wildcard tests/abi/*_test.sh))
INSTALL_CHECKS := $(sort $(wildcard tests/install/*_test.sh))
LOOP_CHECKS := $(filter %_test,$(LOOPS)) $(sort $(wildcard tests/loops/*_test.sh))
DEMO_CHECKS := $(sort $(wildcard tests/demo/*_test.sh))
SIM_CHECKS := $(sort $(wildcard tests/sim/*_test.sh))
COST_CHECKS := $(sort $(wildcard tests/bench/*_test.sh))

# ThreadSanitizer runs a thread of its own in every process, and pf_fork_processes() rightly
# refuses to fork beside another thread: there the unit tests alone can run.
ifneq ($(findstring thread,$(SAN)),)
ALL_CHECKS := $(UNIT_TESTS)
else ifneq ($(SAN),)
ALL_CHECKS := $(UNIT_TESTS) $(API_TESTS)
else
ALL_CHECKS := $(UNIT_TESTS) $(API_TESTS) $(LOOP_CHECKS) $(ABI_CHECKS) $(LINT_CHECKS) \
	$(INSTALL_CHECKS) $(DEMO_CHECKS) $(SIM_CHECKS) $(COST_CHECKS)
endif
# TEST=name is the name of one file of tests/*/, with or without its ending.
matching = $(foreach check,$(1),$(if $(filter $(TEST),$(basename $(notdir $(check))) \
	$(notdir $(check))),$(check)))
CHECKS := $(strip $(if $(TEST),$(call matching,$(ALL_CHECKS)),$(ALL_CHECKS)))

# What the scripts of tests/ are told.
SCRIPT_ENV = CC='$(CC)' CXX='$(CXX)' PKG_CONFIG='$(PKG_CONFIG)' BUILD_DIR='$(abspath $(BUILD))' \
	PF_PROGRAMS_DIR='$(abspath $(BUILD))/tests/programs' \
	PF_EXAMPLES_DIR='$(abspath $(BUILD))/examples' SAN='$(SAN)' V='$(V)' MAKE='$(MAKE)' \
	CLANG_FORMAT='$(CLANG_FORMAT)' CLANG_TIDY='$(CLANG_TIDY)'

.PHONY: all demo demo-run check check-run sim sim-mutants bench bench-run cost cost-run load \
	load-run lint lint-run html install install-html uninstall \
	installcheck installcheck-run bindings-check deps dist clean help tests examples programs format FORCE
.DELETE_ON_ERROR:
.SUFFIXES:
# Objects of the tests are kept, though make takes them for steps on the way.
.SECONDARY:

all: $(BUILD)/$(SHARED) $(BUILD)/$(SONAME) $(LIBRARY) $(BUILD)/libprefork.a $(BUILD)/prefork.pc \
	$(BUILD)/prefork.json

help:
	@echo 'make [all]        the library, shared and static, and prefork.pc, in $(BUILD)/'
	@echo 'make demo         the demonstration server, started, used, crashed and stopped'
	@echo 'make sim          the simulator: SEED= STEPS= HISTORIES= SECONDS='
	@echo 'make sim-mutants  show that the simulator finds deliberate defects'
	@echo 'make check        every test; TEST=name for one, SAN=address,undefined for sanitizers'
	@echo 'make cost         count what one restart costs, and compare; SAVE=1 accepts it'
	@echo 'make bench        measure the library beside the smallest possible fork loops'
	@echo 'make load         reload a server and kill its workers under the load of wrk, and count'
	@echo 'make lint         formatting, static analysis, spelling and the rules of the house'
	@echo 'make format       set lib, tests and examples as lint wants them, in the pages too'
	@echo 'make html         the manual as HTML, in $(BUILD)/html; install-html installs it'
	@echo 'make install      to prefix=$(prefix), below DESTDIR if that is set'
	@echo 'make uninstall    remove what install put there'
	@echo 'make installcheck install into a scratch directory, build and run a consumer there'
	@echo 'make bindings-check  the tests of the bindings, against an installation; LANGUAGES=go'
	@echo 'make deps         install with apt-get whatever the targets above need'
	@echo 'make dist         build/libprefork-$(VERSION).tar.gz of the last commit'
	@echo 'make clean        remove $(BUILD)/'
	@echo 'V=1 shows commands; WERROR=1 makes warnings errors; BUILD=dir builds elsewhere'

# ---- The library -----------------------------------------------------------------------

# Rewritten only when its text changes: what depends on it is built anew with new flags.
quoted = '$(subst ','\'',$(1))'
write_if_changed = @mkdir -p $(@D); printf '%s\n' $(call quoted,$(1)) >$@.new; \
	if cmp -s $@.new $@; then rm -f $@.new; else mv -f $@.new $@; fi
$(BUILD)/flags: FORCE
	$(call write_if_changed,$(compile_c) / $(compile_cxx) / $(PF_LTO) / $(without_lto) / $(PF_LDFLAGS) / $(LDFLAGS))
# A removed source file must leave the library too.
$(BUILD)/objects: FORCE
	$(call write_if_changed,$(LIB_OBJECTS))
$(BUILD)/directories: FORCE
	$(call write_if_changed,$(prefix) $(exec_prefix) $(libdir) $(includedir) $(datadir))

$(BUILD)/lib/%.o: lib/%.cc $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CXX $<
	$(Q)$(compile_cxx) $(PF_LTO) -Ilib $(dependencies) -c -o $@ $<

$(BUILD)/$(SHARED): $(LIB_OBJECTS) $(BUILD)/objects lib/prefork.map
	$(say) LINK $@
	$(Q)$(CC) $(PF_SANITIZE) $(CXXFLAGS) $(PF_LTO) $(PF_NO_TABLES) $(PF_LDFLAGS) $(LDFLAGS) -o $@ $(LIB_OBJECTS)

$(BUILD)/$(SONAME): $(BUILD)/$(SHARED)
	$(Q)ln -sf $(SHARED) $@

$(LIBRARY): $(BUILD)/$(SONAME)
	$(Q)ln -sf $(SONAME) $@

$(BUILD)/libprefork.a: $(LIB_OBJECTS) $(BUILD)/objects $(BUILD)/flags
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $(LIB_OBJECTS) && $(without_lto) $@

# Directories below the prefix are written relative to it, as pkg-config users expect.
$(BUILD)/prefork.pc: lib/prefork.pc.in include/prefork.h $(BUILD)/directories
	$(say) GEN $@
	$(Q)sed -e 's|@prefix@|$(prefix)|' -e 's|@version@|$(VERSION)|' \
		-e 's|@exec_prefix@|$(patsubst $(prefix),$${prefix},$(exec_prefix))|' \
		-e 's|@libdir@|$(patsubst $(exec_prefix)/%,$${exec_prefix}/%,$(libdir))|' \
		-e 's|@includedir@|$(patsubst $(prefix)/%,$${prefix}/%,$(includedir))|' \
		-e 's|@datadir@|$(patsubst $(prefix)/%,$${prefix}/%,$(datadir))|' $< >$@

# The interface for generators of bindings.
$(BUILD)/prefork.json: lib/interface.awk lib/prefork.map include/prefork.h
	@mkdir -p $(@D)
	$(say) GEN $@
	$(Q)awk -f $^ >$@

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

# An archive, so that each program takes only the helpers that it uses.
$(BUILD)/tests/libsupport.a: $(SUPPORT_OBJECTS)
	$(Q)rm -f $@ && $(AR) rcs $@ $(SUPPORT_OBJECTS)

$(BUILD)/tests/api/%: tests/api/%.c $(BUILD)/tests/libsupport.a $(LIBRARY) $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) TEST $<
	$(Q)$(compile_c) -Itests/support $(cmocka_cflags) $(dependencies) -o $@ $< \
		$(BUILD)/tests/libsupport.a $(call link_library,../..) $(cmocka_libs)

$(BUILD)/tests/programs/%: tests/programs/%.c $(BUILD)/tests/libsupport.a $(LIBRARY) $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(compile_c) -Itests/support $(dependencies) -o $@ $< \
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
SIM_LIB_OBJECTS := $(filter $(BUILD)/lib/core/% $(BUILD)/lib/runtime/%,$(LIB_OBJECTS))
compile_sim = $(CXX) $(PF_CPPFLAGS) $(CPPFLAGS) -std=c++20 $(PF_WARNINGS) -Wsign-conversion \
	-Wold-style-cast -Wnon-virtual-dtor $(PF_SANITIZE) $(CXXFLAGS)

$(BUILD)/tests/sim/objects/%.o: tests/sim/%.cc $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) TEST $<
	$(Q)$(compile_sim) -Ilib -Itests/sim $(dependencies) -c -o $@ $<

# Every call for memory is led to the simulator, which says whether there is any.
$(SIM): $(SIM_OBJECTS) $(SIM_LIB_OBJECTS)
	$(say) LINK $@
	$(Q)$(CXX) $(PF_SANITIZE) $(CXXFLAGS) $(LDFLAGS) -o $@ $(SIM_OBJECTS) $(SIM_LIB_OBJECTS) \
		-Wl,--wrap=calloc,--wrap=malloc

# SEED=, STEPS= (operations of a history), HISTORIES=, SECONDS=: see tests/sim/sim.cc.
sim: $(SIM)
	$(Q)$(SIM) $(if $(SEED),--seed $(SEED)) $(if $(STEPS),--steps $(STEPS)) \
		$(if $(HISTORIES),--histories $(HISTORIES)) $(if $(SECONDS),--seconds $(SECONDS))

sim-mutants: $(SIM)
	$(Q)$(SCRIPT_ENV) tests/sim/mutants.sh

# ---- demo, check, bench, lint ----------------------------------------------------------
# Each first sees to its tools and libraries, then runs make again for the work itself, as
# some flags can only be asked for when these are there.

demo:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh demo
	@$(MAKE) --no-print-directory demo-run

demo-run: all examples
	$(Q)EXAMPLES_DIR='$(BUILD)/examples' tests/demo/demo.sh

check:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh check
	@$(MAKE) --no-print-directory check-run

# All that has to be compiled, for those who want to see that it is without a warning.
tests: $(UNIT_TESTS) $(API_TESTS) $(LOOPS) $(PROGRAMS) $(EXAMPLES) $(BENCHES)

check-run: all $(PROGRAMS) $(EXAMPLES) $(LOOPS) $(CHECKS) \
		$(if $(filter tests/sim/%,$(CHECKS)),$(SIM)) \
		$(if $(filter tests/bench/%,$(CHECKS)),$(COUNTED))
	@test -n '$(CHECKS)' || { echo 'no test is named $(TEST)' >&2; exit 1; }
	+@$(SCRIPT_ENV) tests/support/run.sh $(CHECKS)

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
	$(Q)EXAMPLES_DIR='$(BUILD)/examples' tests/bench/reload_load.sh
	$(Q)EXAMPLES_DIR='$(BUILD)/examples' tests/bench/reload_load.sh -x

lint:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh lint
	@$(MAKE) --no-print-directory lint-run

lint-run: all
	@$(SCRIPT_ENV) tests/support/run.sh $(LINT_CHECKS) \
		$(addprefix tests/lint/,selftest.sh format.sh tidy.sh shell.sh spelling.sh)

# The public header is set by hand.
FORMATTED = $(sort $(wildcard lib/*/*.[ch] lib/*/*.cc lib/*/*/*.[ch] lib/*/*/*.cc \
	tests/*/*.[ch] tests/*/*.cc man/examples/*.c))
format:
	$(Q)$(CLANG_FORMAT) -i $(filter-out man/examples/hello.c,$(FORMATTED))
	$(Q)$(CLANG_FORMAT) --style=file:.clang-format -i man/examples/hello.c
	$(Q)tests/support/set_examples.sh

deps:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh all

# ---- install ---------------------------------------------------------------------------
# One list drives install and uninstall: mode:destination:source, or link:name:target.

PAGES := $(notdir $(sort $(wildcard man/*.[37])))
# Each line of man/aliases names a page and another name for it.
ALIASES := $(shell sed 's|^\(.*\) \(.*\)$$|link:@man3@/\2:\1|' man/aliases)
FILES = 644:$(includedir)/prefork.h:include/prefork.h \
	755:$(libdir)/$(SHARED):$(BUILD)/$(SHARED) \
	link:$(libdir)/$(SONAME):$(SHARED) \
	link:$(libdir)/libprefork.so:$(SONAME) \
	644:$(libdir)/libprefork.a:$(BUILD)/libprefork.a \
	644:$(pkgconfigdir)/prefork.pc:$(BUILD)/prefork.pc \
	644:$(datadir)/libprefork/prefork.json:$(BUILD)/prefork.json \
	$(foreach page,$(PAGES),644:$(mandir)/man$(subst .,,$(suffix $(page)))/$(page):man/$(page)) \
	$(subst @man3@,$(mandir)/man3,$(ALIASES)) \
	$(foreach file,$(wildcard man/examples/*),644:$(docdir)/examples/$(notdir $(file)):$(file))

install: all
	$(Q)set -e; for file in $(FILES); do \
		mode=$${file%%:*}; source=$${file##*:}; name=$${file#*:}; name=$${name%:*}; \
		$(if $(Q),echo "  INST $(DESTDIR)$$name";) \
		$(INSTALL) -d "$(DESTDIR)$${name%/*}"; \
		if test "$$mode" = link; then ln -sf "$$source" "$(DESTDIR)$$name"; \
		else $(INSTALL) -m "$$mode" "$$source" "$(DESTDIR)$$name"; fi; \
	done

# The manual as HTML needs mandoc, so install goes without it.
HTML_FILES := $(PAGES:=.html) index.html prefork.css
html:
	$(Q)man/html.sh $(BUILD)/html

install-html: html
	$(Q)$(INSTALL) -d "$(DESTDIR)$(docdir)/html"
	$(Q)$(INSTALL) -m 644 $(HTML_FILES:%=$(BUILD)/html/%) "$(DESTDIR)$(docdir)/html"

uninstall:
	$(Q)set -e; for file in $(FILES) $(HTML_FILES:%=:$(docdir)/html/%:); do \
		name=$${file#*:}; name=$${name%:*}; \
		$(if $(Q),echo "  RM   $(DESTDIR)$$name";) \
		rm -f "$(DESTDIR)$$name"; \
	done

installcheck:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh check
	@$(MAKE) --no-print-directory installcheck-run

installcheck-run: all
	+@$(SCRIPT_ENV) tests/support/run.sh $(INSTALL_CHECKS)

# ---- bindings --------------------------------------------------------------------------
# Against the library as it is installed. LANGUAGES= chooses; one that is not here is skipped.

LANGUAGES = $(notdir $(patsubst %/check.sh,%,$(wildcard bindings/*/check.sh)))
BINDINGS_PREFIX = $(abspath $(BUILD))/bindings/prefix

bindings-check: all
	@rm -rf '$(BINDINGS_PREFIX)'
	@$(MAKE) --no-print-directory install prefix='$(BINDINGS_PREFIX)' exec_prefix='$(BINDINGS_PREFIX)' \
		libdir='$(BINDINGS_PREFIX)/lib' includedir='$(BINDINGS_PREFIX)/include' DESTDIR= >/dev/null
	+@NO_SKIP='$(NO_SKIP)' bindings/check.sh '$(BINDINGS_PREFIX)' $(LANGUAGES)

# ---- dist, clean -----------------------------------------------------------------------

dist:
	@mkdir -p $(BUILD)
	$(say) GEN $(BUILD)/libprefork-$(VERSION).tar.gz
	$(Q)git archive --format=tar --prefix=libprefork-$(VERSION)/ HEAD | gzip -n \
		>$(BUILD)/libprefork-$(VERSION).tar.gz

clean:
	$(Q)rm -rf $(BUILD)

FORCE:

-include $(wildcard $(addsuffix .d,$(LIB_OBJECTS) $(TESTING_OBJECTS) $(SUPPORT_OBJECTS) \
	$(SIM_OBJECTS) \
	$(UNIT_TESTS) $(API_TESTS) $(LOOPS) $(PROGRAMS) $(EXAMPLES) $(BENCHES)))
