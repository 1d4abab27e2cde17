# sqlite-opensearch: build, check, install.  `make help` lists the targets.
#
# Three sets of objects come out of the same sources, because SQLite is reached in two ways and because tests
# inject failing allocations:
#   $(BUILD)/obj      for opensearch.so: SQLite is called through the table of the process that loads us,
#                     so nothing of ours links libsqlite3 and a second SQLite can never slip in
#   $(BUILD)/core     -DSQLITE_CORE: SQLite is called directly (libopensearch.a, for programs that link us in)
#   $(BUILD)/unit-obj -DSQLITE_CORE -DOS_TEST_ALLOC: what the unit tests are linked with
#
# Variables: CC, CFLAGS (optimisation, sanitizers), CPPFLAGS, LDFLAGS, BUILD (output folder), ROOMS (folders of
# ext/), PREFIX, DESTDIR, STATIC_LIBS=1 (link the small libraries statically), V=1 (show the commands).

# make's own default is cc; a CC from the environment or the command line wins
ifeq ($(origin CC),default)
  CC = gcc
endif
AR ?= ar
LD ?= ld
OBJCOPY ?= objcopy
CLANG ?= $(firstword $(foreach c,clang clang-19 clang-16 clang-15 clang-14,$(if $(shell command -v $c),$c)))
PKG_CONFIG ?= pkg-config
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
CFLAGS ?= -O2 -g
VERSION := $(shell cat VERSION)
# top to bottom is right to left: a room calls only rooms before it in this list (scripts/check-rooms)
ROOMS ?= base config net aws cluster ledger format pipeline operations surface

Q = $(if $(V),,@)
# the short lines are left out under make -s, too (MAKEFLAGS begins with its letters)
SILENT = $(findstring s,$(firstword -$(MAKEFLAGS)))
say = $(if $(V)$(SILENT),$(if $(V),,@),@printf '  %-8s %s\n' '$1' '$2';)

# ---- flags --------------------------------------------------------------------------------------------------
PKGS = libcurl openssl jansson libisal libzstd libpcre2-8 expat
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags sqlite3 $(PKGS) 2>/dev/null)
SQLITE_LIBS := $(shell $(PKG_CONFIG) --libs sqlite3 2>/dev/null)

WARNINGS = -Wall -Wextra -Wshadow -Wconversion -Werror $(CLANG_QUIRKS)
# clang takes an enum without negative values for unsigned and warns wherever one becomes an int; true changes of
# sign are found by gcc, whose -Wconversion looks for them too
CLANG_QUIRKS := $(if $(findstring clang,$(shell $(CC) --version 2>/dev/null)),-Wno-sign-conversion)
# fortify needs an optimising compiler and hides from the sanitizers what they look for
FORTIFY = $(if $(findstring -fsanitize,$(CFLAGS))$(findstring -O0,$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
HARDEN = $(FORTIFY) -fstack-protector-strong
HARDEN_LD = -Wl,-z,relro,-z,now -Wl,-z,noexecstack
ALL_CFLAGS = -std=gnu11 -fPIC -fvisibility=hidden -pthread -Iext -I$(BUILD)/generated $(PKG_CFLAGS) \
  -DOS_VERSION='"$(VERSION)"' $(WARNINGS) $(HARDEN) $(CPPFLAGS) $(CFLAGS)
CORE_FLAGS = -DSQLITE_CORE
UNIT_FLAGS = -DSQLITE_CORE -DOS_TEST_ALLOC

ifeq ($(STATIC_LIBS),1)
  # libcurl and libcrypto stay shared: they carry the system's certificates, configuration and security updates.
  # A library that comes without an archive (isa-l on Debian) stays shared as well.
  archive = $(wildcard $(shell $(CC) -print-file-name=lib$1.a))
  small = $(if $(call archive,$1),$(call archive,$1),-l$1)
  LIBS = $(call small,csv) $(call small,jansson) $(call small,isal) $(call small,zstd) $(call small,pcre2-8) $(call small,expat) \
    $(shell $(PKG_CONFIG) --libs libcurl openssl) -lm -Wl,--exclude-libs,ALL
else
  # libcsv has no .pc file on Debian and Ubuntu
  LIBS = $(shell $(PKG_CONFIG) --libs $(PKGS)) -lcsv -lm
endif

# ---- files --------------------------------------------------------------------------------------------------
SO = $(BUILD)/opensearch.so
LIB = $(BUILD)/libopensearch.a
ROOM_SRC = $(foreach r,$(ROOMS),$(sort $(wildcard ext/$(r)/*.c) $(wildcard ext/$(r)/*/*.c)))
SRC = ext/opensearch.c $(ROOM_SRC)
OBJ = $(SRC:ext/%.c=$(BUILD)/obj/%.o)
CORE_OBJ = $(SRC:ext/%.c=$(BUILD)/core/%.o)
UNIT_OBJ = $(ROOM_SRC:ext/%.c=$(BUILD)/unit-obj/%.o)
UNIT_LIB = $(BUILD)/unit-obj/rooms.a
UNIT = $(foreach r,$(ROOMS),$(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(sort $(wildcard tests/unit/$(r)_*_test.c))))
UNIT_SUPPORT = $(filter-out %_test.c,$(sort $(wildcard tests/unit/*.c)))
FUZZ = $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/*_fuzz.c)))
BENCH = $(patsubst tests/perf/%.c,$(BUILD)/perf/%,$(sort $(wildcard tests/perf/*.c)))
CORE_LIB = $(BUILD)/core/rooms.a
READY_SQL = $(filter-out sql/ledger_%,$(wildcard sql/*.sql))
SCHEMA = $(sort $(wildcard sql/ledger_v*.sql))
GENERATED = $(if $(SCHEMA),$(BUILD)/generated/ledger_schema.h)
STAMP = $(BUILD)/flags
EXPORTS = ext/opensearch.map

# ---- build --------------------------------------------------------------------------------------------------
all: $(SO)

$(SO): $(OBJ) $(EXPORTS)
	$(call say,LINK,$@)$(CC) -shared $(ALL_CFLAGS) -o $@ $(OBJ) -Wl,--version-script=$(EXPORTS) \
	  -Wl,-z,defs $(HARDEN_LD) -Wl,--as-needed $(LDFLAGS) $(LIBS)

static: $(LIB)
# One relocatable object whose only global names are ours to offer, so that os_… cannot clash with the program's.
$(LIB): $(CORE_OBJ)
	$(call say,AR,$@)rm -f $@ && $(LD) -r -o $(BUILD)/core/opensearch-all.o $(CORE_OBJ) && \
	  $(OBJCOPY) --localize-hidden $(BUILD)/core/opensearch-all.o && $(AR) rcs $@ $(BUILD)/core/opensearch-all.o

$(BUILD)/obj/%.o: ext/%.c $(STAMP) | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
$(BUILD)/core/%.o: ext/%.c $(STAMP) | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(ALL_CFLAGS) $(CORE_FLAGS) -MMD -MP -c -o $@ $<
$(BUILD)/unit-obj/%.o: ext/%.c $(STAMP) | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(ALL_CFLAGS) $(UNIT_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/generated/ledger_schema.h: $(SCHEMA) scripts/embed-sql
	@mkdir -p $(@D)
	$(call say,EMBED,$@)scripts/embed-sql $(SCHEMA) >$@.new && mv $@.new $@

# other flags, version or compiler: everything is built again
$(STAMP): FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(CC) $(ALL_CFLAGS))' | cmp -s - $@ || echo '$(subst ','\'',$(CC) $(ALL_CFLAGS))' >$@

install: $(SO)
	install -d $(DESTDIR)$(PREFIX)/lib/sqlite3 $(DESTDIR)$(PREFIX)/share/sqlite-opensearch/sql \
	  $(DESTDIR)$(PREFIX)/share/doc/sqlite-opensearch
	install -m 644 $(SO) $(DESTDIR)$(PREFIX)/lib/sqlite3/opensearch.so
	$(if $(READY_SQL),install -m 644 $(READY_SQL) $(DESTDIR)$(PREFIX)/share/sqlite-opensearch/sql/)
	install -m 644 LICENSE $(wildcard README.md) $(DESTDIR)$(PREFIX)/share/doc/sqlite-opensearch/

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/lib/sqlite3/opensearch.so
	rm -rf $(DESTDIR)$(PREFIX)/share/sqlite-opensearch $(DESTDIR)$(PREFIX)/share/doc/sqlite-opensearch

# the source as one archive: what git holds, nothing else
dist:
	@mkdir -p $(BUILD)
	git archive --format=tar.gz --prefix=sqlite-opensearch-$(VERSION)/ -o $(BUILD)/sqlite-opensearch-$(VERSION).tar.gz HEAD
	@echo $(BUILD)/sqlite-opensearch-$(VERSION).tar.gz

# ---- tests --------------------------------------------------------------------------------------------------
# make unit ROOMS="base format" BUILD=/tmp/b builds and runs the unit tests of these rooms alone
unit: $(UNIT)
	@scripts/run-unit $(UNIT)
unit-build: $(UNIT)
unit-list:
	@echo $(UNIT)

# the archive is made anew when the list of rooms or files changes, too
$(UNIT_LIB).list: FORCE
	@mkdir -p $(@D)
	@echo '$(UNIT_OBJ)' | cmp -s - $@ || echo '$(UNIT_OBJ)' >$@
$(UNIT_LIB): $(UNIT_OBJ) $(UNIT_LIB).list
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $(UNIT_OBJ)
unit-objects: $(UNIT_OBJ)
# test code is held to the same warnings, but for the sign of literals in tables of cases
$(BUILD)/unit/%: tests/unit/%.c $(UNIT_SUPPORT) $(UNIT_LIB) $(STAMP)
	@mkdir -p $(@D)
	$(call say,TEST,$@)$(CC) $(ALL_CFLAGS) $(UNIT_FLAGS) -Wno-conversion -MMD -MP -MF $@.d -o $@ $< $(UNIT_SUPPORT) $(UNIT_LIB) \
	  $(LDFLAGS) -lcmocka $(SQLITE_LIBS) $(LIBS)

test:
	scripts/test

check-asan:
	scripts/test --no-setup --sanitizer asan
check-ubsan:
	scripts/test --no-setup --sanitizer ubsan
check-tsan:
	scripts/test --no-setup --sanitizer tsan

coverage:
	scripts/coverage

# The other architecture.  Every file compiles for arm64: the headers of the libraries are those of this machine
# (nothing in them differs but the two of OpenSSL that hold for any 64-bit Linux), looked at only after the cross
# compiler's own.  Then the pure rooms are tested as they are there: plain C in place of SIMD, and char unsigned.
CROSS ?= aarch64-linux-gnu-
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
check-arm64:
	@command -v $(CROSS)gcc >/dev/null || { echo 'check-arm64: no $(CROSS)gcc (scripts/setup --lint)' >&2; exit 1; }
	@mkdir -p $(BUILD)-arm64/include
	@for d in curl openssl; do \
	  if [ -d /usr/include/$(MULTIARCH)/$$d ]; then ln -sfn /usr/include/$(MULTIARCH)/$$d $(BUILD)-arm64/include/$$d; fi; done
	+$(MAKE) --no-print-directory BUILD='$(BUILD)-arm64' CC='$(CROSS)gcc' \
	  PKG_CFLAGS='-idirafter $(BUILD)-arm64/include -idirafter /usr/include' objects
	@$(CROSS)objdump -f $(BUILD)-arm64/obj/opensearch.o | grep -q 'file format elf64-littleaarch64'
	+$(MAKE) --no-print-directory BUILD='$(BUILD)-portable' ROOMS='base config net aws cluster ledger format' \
	  CPPFLAGS='$(CPPFLAGS) -DOS_SIMD_SCALAR=' CFLAGS='$(CFLAGS) -funsigned-char' unit
objects: $(OBJ)

# about 20 s a target: clang's fuzzer where there is one, else gcc and the target's own driver (-DOS_FUZZ_MAIN)
FUZZ_SECONDS ?= 20
fuzz-quick:
	@BUILD='$(BUILD)-fuzz' CLANG='$(CLANG)' FUZZ_SECONDS='$(FUZZ_SECONDS)' scripts/fuzz $(FUZZ)
fuzz-build: $(FUZZ:%=$(BUILD)/fuzz/%)
$(BUILD)/fuzz/%: tests/fuzz/%.c $(UNIT_LIB) $(STAMP)
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)$(CC) $(ALL_CFLAGS) $(UNIT_FLAGS) $(FUZZ_FLAGS) -Wno-conversion -o $@ $< $(UNIT_LIB) \
	  $(LDFLAGS) $(SQLITE_LIBS) $(LIBS)

# random loads through random faults against the node that runs at OS_TEST_ENDPOINT (tests/faults/README.md); a copy of the
# extension is used, so that building it anew meanwhile does no harm. Broken off, it goes on where it stopped, as long as
# the extension is the same. FAMILY=kills or power: no faults of the network, but processes that die
TORTURE_JOBS ?= 2
FAMILY ?= faults
torture: $(SO)
	@key=$$(sha256sum $(SO) | cut -c1-12) && cp $(SO) $(BUILD)/torture-$$key.so && \
	OS_TEST_EXTENSION=$(abspath $(BUILD))/torture-$$key.so /usr/bin/python3 tests/faults/torture.py $(if $(SEEDS),--seeds $(SEEDS)) \
	  --family $(FAMILY) --jobs $(TORTURE_JOBS) --progress $(BUILD)/torture-$$key.progress
# the same files through the same faults, by this extension and by other clients
torture-peers: $(SO)
	OS_TEST_EXTENSION=$(abspath $(SO)) /usr/bin/python3 tests/faults/peers/compare.py

# CORE_LIB: the rooms without the test seam, for programs that measure
bench: $(SO) $(BENCH)
	scripts/bench $(BUILD)
bench-quick: $(SO) $(BENCH)
	scripts/bench $(BUILD) --quick
$(CORE_LIB): $(CORE_OBJ)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $(CORE_OBJ)
$(BUILD)/perf/%: tests/perf/%.c $(CORE_LIB) $(STAMP)
	@mkdir -p $(@D)
	$(call say,BENCH,$@)$(CC) $(ALL_CFLAGS) $(CORE_FLAGS) -Wno-conversion -o $@ $< $(CORE_LIB) $(LDFLAGS) $(SQLITE_LIBS) $(LIBS)

lint:
	scripts/lint
# what scripts/lint gives to the analysers
print-flags: $(GENERATED)
	@echo '$(subst ','\'',$(ALL_CFLAGS))'
print-clang:
	@echo $(CLANG)

format:
	clang-format -i $(shell git ls-files 'ext/*.c' 'ext/*.h' 'tests/*.c' 'tests/*.h')

# ---- try it -------------------------------------------------------------------------------------------------
demo:
	scripts/demo
demo-stop:
	scripts/dev-cluster stop

clean:
	rm -rf build build-asan build-ubsan build-tsan build-coverage build-fuzz build-arm64 build-portable build-lint* $(if $(filter-out /,$(BUILD)),$(BUILD))

help:
	@echo 'make               build $(SO); in sqlite3: .load $(SO:.so=)'
	@echo 'make install       into PREFIX=$(PREFIX) (lib/sqlite3, share/sqlite-opensearch), below DESTDIR'
	@echo 'make static        $(LIB), for programs that link SQLite and this extension in'
	@echo 'make demo          set up, build, start a development OpenSearch, load two data sets, look at them'
	@echo 'make demo-stop     stop that OpenSearch'
	@echo 'make test          set up and run every test (scripts/test --help)'
	@echo 'make unit          the C unit tests alone; ROOMS="base net" for some rooms'
	@echo 'make check-asan    all tests under AddressSanitizer; check-ubsan, check-tsan: the other two'
	@echo 'make check-arm64   compile for arm64; unit tests without SIMD and with unsigned char'
	@echo 'make coverage      all tests; line coverage of ext/, at least 85 %'
	@echo 'make fuzz-quick    every fuzz target for $(FUZZ_SECONDS) seconds'
	@echo 'make torture       random loads through random faults; SEEDS=1-200, FAMILY=kills or power'
	@echo 'make torture-peers the same faults for other clients'
	@echo 'make bench         loads into a sink and a node, beside other clients; BENCH_OUT=docs/bench publishes'
	@echo 'make bench-quick   a part of it, in two minutes'
	@echo 'make lint          formatting, static analysis, room order, banned calls, scripts'
	@echo 'make format        clang-format all C files in place'
	@echo 'make dist          the source archive; make clean: remove what was built'
	@echo 'Options: BUILD=folder CC=clang CFLAGS="-O0 -g" STATIC_LIBS=1 V=1'

FORCE:
-include $(OBJ:.o=.d) $(CORE_OBJ:.o=.d) $(UNIT_OBJ:.o=.d) $(UNIT:=.d)
.PHONY: all static install uninstall dist unit unit-build unit-list unit-objects test check-asan check-ubsan check-tsan check-arm64 objects \
  coverage fuzz-quick fuzz-build torture torture-peers bench bench-quick lint print-flags print-clang format demo demo-stop clean help FORCE
.DELETE_ON_ERROR:
