# Temporary skeleton: rooms are compiled separately so that they can be built and tested one by one.
CC ?= gcc
BUILD ?= build
ROOMS ?= base config net cluster format ledger pipeline operations surface
PKGS = sqlite3 libcurl openssl jansson libzstd libisal
CFLAGS ?= -O2 -g
CFLAGS_ALL = -std=gnu11 -fPIC -fvisibility=hidden -pthread -Iext -I$(BUILD)/generated $(shell pkg-config --cflags $(PKGS)) \
  -Wall -Wextra -Wshadow -Wconversion -Werror -D_FORTIFY_SOURCE=2 -fstack-protector-strong $(CFLAGS)
LIBS = $(shell pkg-config --libs $(PKGS)) -lcsv -lm -pthread
SRC = $(foreach r,$(ROOMS),$(wildcard ext/$(r)/*.c))
OBJ = $(SRC:ext/%.c=$(BUILD)/obj/%.o)
UNIT = $(foreach r,$(ROOMS),$(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/$(r)_*_test.c)))

all: $(BUILD)/opensearch.so
$(BUILD)/opensearch.so: $(BUILD)/obj/opensearch.o $(OBJ)
	$(CC) -shared -o $@ $^ -Wl,-z,defs -Wl,-z,relro,-z,now $(LIBS)
$(BUILD)/obj/%.o: ext/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -c -o $@ $<
$(BUILD)/unit/%: tests/unit/%.c $(OBJ)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -Wno-conversion -o $@ $< $(OBJ) -lcmocka $(LIBS)
# make unit ROOMS="base format" BUILD=build-format : builds and runs the unit tests of these rooms only
unit: $(UNIT)
	@set -e; for t in $(UNIT); do $$t; done
-include $(OBJ:.o=.d)
.PHONY: all unit
