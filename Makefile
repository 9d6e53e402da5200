# libprefork: GNU make, no generator. `make help` lists the targets. This file builds and installs
# the library; tests/tests.mk has the targets that test, measure and check it.
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

prefix ?= /usr/local
exec_prefix ?= $(prefix)
bindir ?= $(exec_prefix)/bin
libdir ?= $(exec_prefix)/lib
includedir ?= $(prefix)/include
pkgconfigdir ?= $(libdir)/pkgconfig
cmakedir ?= $(libdir)/cmake/prefork
datarootdir ?= $(prefix)/share
datadir ?= $(datarootdir)
mandir ?= $(datarootdir)/man
docdir ?= $(datarootdir)/doc/libprefork

V = 0
WERROR = 0
SAN =

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
# Each of these costs neither a page of the library nor an instruction of a restart, where the
# compiler has it for this machine: a frame of more than a page touches each page on its way, so that
# it cannot jump over the guard of a stack; an indirect jump ends only where one may (CET, BTI); the C
# library checks the sizes that the compiler knows. -fstack-protector-strong costs 8 KiB and 6 % of
# the instructions, -z separate-code 4 KiB and two page faults; those that want them set CXXFLAGS and
# LDFLAGS.
has_flags = $(shell $(CXX) $(CPPFLAGS) $(CXXFLAGS) -Werror $(1) -include stdlib.h -x c++ -c \
	-o /dev/null /dev/null 2>/dev/null && echo '$(1)')
PF_HARDENING := $(foreach flag,-fstack-clash-protection -fcf-protection \
	-mbranch-protection=standard,$(call has_flags,$(flag)))
# A user's own level stays. Sanitizers check more, and it needs an optimisation.
ifeq ($(SAN)$(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS) $(CXXFLAGS)),)
PF_HARDENING += $(call has_flags,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif
# C++ without its runtime: nothing that would need libstdc++ at run time.
PF_CXXFLAGS = -std=c++20 -D_FILE_OFFSET_BITS=64 -fno-exceptions -fno-rtti -fno-threadsafe-statics -fPIC -fno-plt \
	$(PF_HARDENING) $(PF_NO_TABLES) -fvisibility=hidden -fvisibility-inlines-hidden $(PF_WARNINGS) \
	-Wsign-conversion -Wold-style-cast -Wnon-virtual-dtor
ifneq ($(is_clang),)
PF_CXXFLAGS += -Wglobal-constructors -Wexit-time-destructors
endif
# Checked iterators, which some systems switch on for all, would need libstdc++ too.
PF_CXXFLAGS_LAST = -U_GLIBCXX_ASSERTIONS
PF_LDFLAGS = -shared -Wl,-soname,$(SONAME) -Wl,--version-script,lib/prefork.map \
	-Wl,-z,relro,-z,now -Wl,-z,noseparate-code -Wl,-z,nodelete

# Optimisations of gcc that make code like this larger, and no faster where it waits for the kernel.
PF_SMALL = -fipa-pta -fno-ipa-cp -fno-move-loop-invariants -fno-gcse -fno-tree-pre

# Seen as a whole, and not in parts for several processors, the shared library is a seventh
# smaller. The objects hold plain code besides, and the archive holds that alone: the link of a program would compile the rest anew, with options of
# the program that need not fit (code made for strict aliasing, linked with -O1, crashes).
ifeq ($(is_clang)$(SAN),)
PF_LTO = -flto=auto -ffat-lto-objects $(PF_SMALL)
PF_LDFLAGS += -flto-partition=one
without_lto = $(OBJCOPY) --wildcard --remove-section='.gnu.lto_*' \
	--remove-section='.gnu.debuglto_*' --strip-symbol='__gnu_lto_*'
else
PF_LTO = -fno-lto
without_lto = :
endif

# Only the linkers for some machines have it.
no_unwind_info := $(shell $(CC) -Wl,--help 2>/dev/null | grep -q 'no-ld-generated-unwind-info' && \
	echo -Wl,--no-ld-generated-unwind-info)

ifeq ($(SAN),)
# With -z defs a symbol of the C++ runtime is an error of the link. The linker need not make tables
# for exceptions either.
PF_LDFLAGS += -Wl,-z,defs -Wl,--no-eh-frame-hdr $(no_unwind_info)
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
comma = ,

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
LIBRARY = $(BUILD)/libprefork.so
COMMAND_SOURCES := $(sort $(wildcard bindings/shell/*.c))
COMMAND_OBJECTS := $(COMMAND_SOURCES:%.c=$(BUILD)/%.o)
# The one that is installed has no path of the library in it.
COMMAND = $(BUILD)/bindings/shell/prefork

.PHONY: all html install install-html uninstall dist amalgamation clean help FORCE
.DELETE_ON_ERROR:
.SUFFIXES:
# Objects of the tests are kept, though make takes them for steps on the way.
.SECONDARY:

PRODUCTS = $(BUILD)/$(SHARED) $(BUILD)/$(SONAME) $(LIBRARY) $(BUILD)/libprefork.a \
	$(BUILD)/prefork.json $(COMMAND)

all: $(PRODUCTS) $(BUILD)/prefork.pc $(BUILD)/prefork

help::
	@echo 'make [all]        the library, shared and static, prefork.pc and prefork(1), in $(BUILD)/'
	@echo 'make html         the manual as HTML, in $(BUILD)/html; install-html installs it'
	@echo 'make install      to prefix=$(prefix), below DESTDIR if that is set'
	@echo 'make uninstall    remove what install put there'
	@echo 'make dist         build/libprefork-$(VERSION).tar.gz of the last commit'
	@echo 'make amalgamation the library as one source file and its header, in $(BUILD)/amalgamation/'
	@echo 'make clean        remove $(BUILD)/'
	@echo 'V=1 shows commands; WERROR=1 makes warnings errors; BUILD=dir builds elsewhere'

# ---- The library -----------------------------------------------------------------------

# Rewritten only when its text changes: what depends on it is built anew with new flags.
quoted = '$(subst ','\'',$(1))'
# Two makes may do it at the same time.
write_if_changed = @mkdir -p $(@D); new=$@.$$$$; printf '%s\n' $(call quoted,$(1)) >$$new; \
	if cmp -s $$new $@; then rm -f $$new; else mv -f $$new $@; fi
$(BUILD)/flags: FORCE
	$(call write_if_changed,$(compile_c) / $(compile_cxx) / $(PF_LTO) / $(without_lto) / $(PF_LDFLAGS) / $(LDFLAGS))
# A removed source file must leave the library too.
$(BUILD)/objects: FORCE
	$(call write_if_changed,$(LIB_OBJECTS) $(COMMAND_OBJECTS))
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

# CMake finds a directory from that of its own files: by the prefix if both are below it, else by
# the root, which is DESTDIR where that is used.
nothing =
space = $(nothing) $(nothing)
below_prefix = $(if $(patsubst $(prefix)/%,,$(1)),,$(patsubst $(prefix)/%,%,$(1)))
up_from = $(subst $(space),/,$(patsubst %,..,$(subst /, ,$(1))))
from_cmakedir = $(if $(and $(call below_prefix,$(cmakedir)),$(call below_prefix,$(1))),$(call \
	up_from,$(call below_prefix,$(cmakedir)))/$(call below_prefix,$(1)),$(call up_from,$(cmakedir))$(1))

# Directories below the prefix are written relative to it, as pkg-config users expect.
fill_in = sed -e 's|@prefix@|$(prefix)|' -e 's|@version@|$(VERSION)|' \
	-e 's|@exec_prefix@|$(patsubst $(prefix),$${prefix},$(exec_prefix))|' \
	-e 's|@libdir@|$(patsubst $(exec_prefix)/%,$${exec_prefix}/%,$(libdir))|' \
	-e 's|@includedir@|$(patsubst $(prefix)/%,$${prefix}/%,$(includedir))|' \
	-e 's|@datadir@|$(patsubst $(prefix)/%,$${prefix}/%,$(datadir))|' \
	-e 's|@shared@|$(SHARED)|' -e 's|@soname@|$(SONAME)|' \
	-e 's|@cmake_to_libdir@|$(call from_cmakedir,$(libdir))|' \
	-e 's|@cmake_to_includedir@|$(call from_cmakedir,$(includedir))|' \
	-e 's|@cmake_to_datadir@|$(call from_cmakedir,$(datadir))|'
$(BUILD)/prefork.pc: lib/prefork.pc.in include/prefork.h $(BUILD)/directories
	$(say) GEN $@
	$(Q)$(fill_in) $< >$@

# The interface for generators of bindings.
$(BUILD)/prefork.json: lib/interface.awk lib/prefork.map include/prefork.h
	@mkdir -p $(@D)
	$(say) GEN $@
	$(Q)awk -f $^ >$@

# ---- The command -----------------------------------------------------------------------
# It is linked twice: in the build directory it finds the library beside it.

$(BUILD)/bindings/shell/%.o: bindings/shell/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(compile_c) -D_FILE_OFFSET_BITS=64 $(dependencies) -c -o $@ $<

$(COMMAND) $(BUILD)/prefork: $(COMMAND_OBJECTS) $(LIBRARY) $(BUILD)/objects
	$(say) LINK $@
	$(Q)$(CC) $(PF_SANITIZE) $(CFLAGS) $(if $(filter $(COMMAND),$@),,-Wl$(comma)-rpath$(comma)'$$ORIGIN') \
		$(LDFLAGS) -o $@ $(COMMAND_OBJECTS) -L$(BUILD) -lprefork

# ---- install ---------------------------------------------------------------------------
# One list drives install and uninstall: mode:destination:source, link:name:target, or
# fill:destination:template, whose directories are those of this installation.

PAGES := $(notdir $(sort $(wildcard man/*.[137])))
# Each line of man/aliases names a page and another name for it.
ALIASES := $(shell sed 's|^\(.*\) \(.*\)$$|link:@man3@/\2:\1|' man/aliases)
HEADERS_CXX := $(patsubst bindings/cpp/include/%,%,$(sort $(wildcard bindings/cpp/include/*.hpp \
	bindings/cpp/include/prefork/*.hpp)))
FILES = 644:$(includedir)/prefork.h:include/prefork.h \
	$(foreach header,$(HEADERS_CXX),644:$(includedir)/$(header):bindings/cpp/include/$(header)) \
	755:$(bindir)/prefork:$(COMMAND) \
	755:$(libdir)/$(SHARED):$(BUILD)/$(SHARED) \
	link:$(libdir)/$(SONAME):$(SHARED) \
	link:$(libdir)/libprefork.so:$(SONAME) \
	644:$(libdir)/libprefork.a:$(BUILD)/libprefork.a \
	fill:$(pkgconfigdir)/prefork.pc:lib/prefork.pc.in \
	fill:$(cmakedir)/prefork-config.cmake:lib/prefork-config.cmake.in \
	fill:$(cmakedir)/prefork-config-version.cmake:lib/prefork-config-version.cmake.in \
	644:$(datadir)/libprefork/prefork.json:$(BUILD)/prefork.json \
	$(foreach page,$(PAGES),644:$(mandir)/man$(subst .,,$(suffix $(page)))/$(page):man/$(page)) \
	$(subst @man3@,$(mandir)/man3,$(ALIASES)) \
	$(foreach file,$(wildcard man/examples/*),644:$(docdir)/examples/$(notdir $(file)):$(file))

install: $(PRODUCTS)
	$(Q)set -e; for file in $(FILES); do \
		mode=$${file%%:*}; source=$${file##*:}; name=$${file#*:}; name=$${name%:*}; \
		$(if $(Q),echo "  INST $(DESTDIR)$$name";) \
		$(INSTALL) -d "$(DESTDIR)$${name%/*}"; \
		case $$mode in \
		link) ln -sf "$$source" "$(DESTDIR)$$name" ;; \
		fill) $(fill_in) "$$source" >"$(DESTDIR)$$name"; chmod 644 "$(DESTDIR)$$name" ;; \
		*) $(INSTALL) -m "$$mode" "$$source" "$(DESTDIR)$$name" ;; \
		esac; \
	done

# The manual as HTML needs mandoc, so install goes without it.
HTML_FILES := $(PAGES:=.html) index.html prefork.css
html:
	$(Q)man/html.sh $(BUILD)/html

install-html: html
	$(Q)$(INSTALL) -d "$(DESTDIR)$(docdir)/html"
	$(Q)$(INSTALL) -m 644 $(HTML_FILES:%=$(BUILD)/html/%) "$(DESTDIR)$(docdir)/html"

# Directories that only this project uses; an outer one comes after what is in it.
OWN_DIRECTORIES = $(includedir)/prefork $(cmakedir) $(datadir)/libprefork $(docdir)/examples \
	$(docdir)/html $(docdir)
uninstall:
	$(Q)set -e; for file in $(FILES) $(HTML_FILES:%=:$(docdir)/html/%:); do \
		name=$${file#*:}; name=$${name%:*}; \
		$(if $(Q),echo "  RM   $(DESTDIR)$$name";) \
		rm -f "$(DESTDIR)$$name"; \
	done; \
	for name in $(OWN_DIRECTORIES); do \
		test ! -d "$(DESTDIR)$$name" || rmdir --ignore-fail-on-non-empty "$(DESTDIR)$$name"; \
	done

# ---- dist, amalgamation, clean ---------------------------------------------------------

dist:
	$(say) GEN $(BUILD)/libprefork-$(VERSION).tar.gz
	$(Q)lib/packaging/dist.sh $(BUILD)/libprefork-$(VERSION).tar.gz

amalgamation:
	$(Q)lib/amalgamate.sh $(BUILD)/amalgamation

clean:
	$(Q)rm -rf $(BUILD)

FORCE:

-include $(wildcard $(LIB_OBJECTS:=.d) $(COMMAND_OBJECTS:=.d))
-include tests/tests.mk
