# Fuzz targets: one *_fuzz.cc each, with its inputs in corpus/NAME and its words in NAME.dict.
#
#   make fuzz               30 s each; SECONDS=, TARGET=name, SEED=, SAMPLE=1 for a minute in all
#   make fuzz-defects       show that the targets find deliberate defects
#   make fuzz-minimize      keep of the inputs only those that reach something that others do not
#
# libFuzzer runs them with clang, apart from other builds; make check feeds the same targets with
# the committed inputs, in a build of any compiler.
#
# SPDX-License-Identifier: MIT

TRUST += fuzz
.PHONY: fuzz-run fuzz-defects fuzz-minimize

help::
	@echo 'make fuzz         run the fuzz targets: SECONDS= each, TARGET=name, SEED=, SAMPLE=1'

FUZZ = build/fuzz
FUZZ_CXX = clang++
FUZZ_LIB_OBJECTS := $(LIB_SOURCES:%.cc=$(FUZZ)/%.o)
FUZZ_NAMES := $(patsubst tests/fuzz/%_fuzz.cc,%,$(sort $(wildcard tests/fuzz/*_fuzz.cc)))
FUZZ_TARGETS := $(FUZZ_NAMES:%=$(FUZZ)/%)
FUZZ_SUPPORT := $(filter-out %_fuzz feed,$(patsubst tests/fuzz/%.cc,%,$(sort $(wildcard tests/fuzz/*.cc))))
# The calls that fake_*.cc answer.
FUZZ_CALLS = access bind close connect fcntl64 freeaddrinfo fstat64 fstatfs64 getaddrinfo \
	getauxval getsockname getsockopt listen nanosleep open64 read readlink send setsockopt socket \
	stat64 statfs64 syscall waitid
fuzz_wrap = $(FUZZ_CALLS:%=-Wl,--wrap=%)
FUZZ_FLAGS = -std=c++20 -D_FILE_OFFSET_BITS=64 -fno-exceptions -fno-rtti -fno-threadsafe-statics \
	-Iinclude -Ilib -Itests/fuzz -DPF_TESTING -O1 -g $(FUZZ_DEFINE) -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -fsanitize=address,undefined,implicit-conversion \
	-fno-sanitize=vptr

$(FUZZ)/flags: FORCE
	$(call write_if_changed,$(FUZZ_CXX) $(FUZZ_FLAGS) $(fuzz_wrap))
$(FUZZ)/lib/%.o: lib/%.cc $(FUZZ)/flags
	@mkdir -p $(@D)
	$(say) CXX '$< (to be fuzzed)'
	$(Q)$(FUZZ_CXX) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link $(dependencies) -c -o $@ $<
$(FUZZ)/objects/%.o: tests/fuzz/%.cc $(FUZZ)/flags
	@mkdir -p $(@D)
	$(say) CXX $<
	$(Q)$(FUZZ_CXX) $(FUZZ_FLAGS) $(dependencies) -c -o $@ $<
$(FUZZ)/%: $(FUZZ)/objects/%_fuzz.o $(FUZZ_SUPPORT:%=$(FUZZ)/objects/%.o) $(FUZZ_LIB_OBJECTS)
	$(say) FUZZ $@
	$(Q)$(FUZZ_CXX) $(FUZZ_FLAGS) -fsanitize=fuzzer $(fuzz_wrap) -o $@ $^

$(BUILD)/tests/fuzz/objects/%.o: tests/fuzz/%.cc $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) TEST $<
	$(Q)$(compile_cxx) -DPF_TESTING -Ilib $(dependencies) -c -o $@ $<
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/objects/%_fuzz.o \
		$(FUZZ_SUPPORT:%=$(BUILD)/tests/fuzz/objects/%.o) \
		$(BUILD)/tests/fuzz/objects/feed.o $(TESTING_OBJECTS) $(BUILD)/objects
	$(say) LINK $@
	$(Q)$(CXX) $(PF_SANITIZE) $(CXXFLAGS) $(fuzz_wrap) -o $@ $(filter %.o,$^) $(LDFLAGS)

fuzz:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh fuzz
	@$(MAKE) --no-print-directory fuzz-run

fuzz-run: $(if $(TARGET),$(FUZZ)/$(TARGET),$(FUZZ_TARGETS))
	+$(Q)SECONDS_EACH='$(SECONDS)' SAMPLE='$(SAMPLE)' SEED='$(SEED)' FUZZ_DIR='$(FUZZ)' \
		tests/fuzz/run.sh $(or $(TARGET),$(FUZZ_NAMES))

fuzz-defects: $(if $(TARGET),$(FUZZ)/$(TARGET),$(FUZZ_TARGETS))
	$(Q)FUZZ_DIR='$(FUZZ)' FUZZ_COMPILE='$(FUZZ_CXX) $(FUZZ_FLAGS)' FUZZ_WRAP='$(fuzz_wrap)' \
		SECONDS_EACH='$(SECONDS)' tests/fuzz/defects.sh $(TARGET)

fuzz-minimize: $(if $(TARGET),$(FUZZ)/$(TARGET),$(FUZZ_TARGETS))
	$(Q)FUZZ_DIR='$(FUZZ)' tests/fuzz/minimize.sh $(or $(TARGET),$(FUZZ_NAMES))

-include $(wildcard $(addsuffix .d,$(FUZZ_LIB_OBJECTS)) $(FUZZ)/objects/*.d \
	$(BUILD)/tests/fuzz/objects/*.d)
