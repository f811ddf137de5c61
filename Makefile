# relay: everything is built under $(O), nothing in the source tree.
#   make            all programs            make check    unit tests
#   make install    users, directories, /usr/local (see conf-*)
#   make bench      every experiment of bench/        make tools    what they need: bench/*.c
#   make clean
# Variants: make O=build/asan CFLAGS_EXTRA='-fsanitize=address,undefined' MUSL=no
#           make O=build/clang CC=clang

O = build
CC := $(shell head -n 1 conf-cc)
CFLAGS = -std=c11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wshadow -Werror \
	-fstack-protector-strong -D_FORTIFY_SOURCE=2 -Ilib $(CFLAGS_EXTRA)
LDFLAGS := $(shell head -n 1 conf-ld) $(CFLAGS_EXTRA)
MUSL := $(shell command -v musl-gcc >/dev/null 2>&1 && echo yes || echo no)

LIB = address authd bounce buf channel clock confine control control_lookup crlf ctl dispatch drop envelope escape hash heap home id \
	intake io ip keyd loglines loop memfd netstring report resolve route_plan scan seqpacket seqpacket_group smtproutes tls_engine tls_pump tls_text tlsa \
	tlspolicy verdict work work_tls

# A directory's main() files, and the rest of it, which unit tests link too.
SMTPD_PROGRAMS = relay-smtpd relay-keyd relay-authd
SMTPD = command data dialogue hatch input policy receive received reply rules submit transparent \
	auth keyring sasl secure tls
KEYD = keyd_key keyd_keys keyd_serve keyd_sessions
AUTHD = authd_ask authd_check authd_checks authd_clients authd_serve
SEND_PROGRAMS = relay-start relay-queue relay-send relay-bounce relay-inject relay-ctl
SEND = $(filter-out $(SEND_PROGRAMS),$(patsubst relay-send/%.c,%,$(wildcard relay-send/*.c)))
REMOTE_PROGRAMS = relay-remote
REMOTE = mxreply body judge offer wire connect starttls tls_client tls_check tls_trust certificate content tell smtp worker dns dns_answer dns_ares dns_config dns_dane \
	dns_route dns_validation probe
LOG_PROGRAMS = relay-log relay-trace relay-rate relay-logdb
LOG = follow session_smtp session_pop3 session_content track logrecord pattern fieldnames outlet writer \
	log_archive log_dir log_follow log_line log_merge log_print log_service tai64n \
	logdb_client logdb_delivery logdb_load logdb_message logdb_mx logdb_mysql logdb_retain logdb_schema \
	logdb_session logdb_sqlite logdb_state logdb_store \
	rate_count rate_print trace_address trace_print trace_search trace_session trace_story

UNIT = $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*_test.c))

# --- from here on: how

HOME_DIR := $(shell head -n 1 conf-relay)
PREFIX := $(shell head -n 1 conf-prefix)
USER_SMTPD := $(shell sed -n 1p conf-users)
USER_LOG := $(shell sed -n 7p conf-users)
MULTIARCH := $(shell gcc -print-multiarch)
B = $(O)/bin

PROGRAMS = $(SMTPD_PROGRAMS) $(SEND_PROGRAMS) $(REMOTE_PROGRAMS) $(LOG_PROGRAMS)
ARCHIVES = $(O)/smtpd.a $(O)/send.a $(O)/remote.a $(O)/log.a $(O)/lib.a
DEPFLAGS = -MMD -MP

.PHONY: all check fuzz tools bench soak install clean
all: $(PROGRAMS:%=$(B)/%) $(B)/sendmail $(B)/relay-conf $(B)/relay-logdb-conf

# What conf-users and conf-groups say. A file of an older relay has too few of them.
$(O)/users.h: conf-users conf-groups
	@mkdir -p $(@D)
	@awk 'FNR <= (FILENAME == "conf-users" ? 8 : 9) && NF != 1 \
	  { print FILENAME ": line " FNR " must be a name: the text below says whose"; exit 1 }' $^
	awk 'BEGIN { split("SMTPD QUEUE SEND REMOTE BOUNCE KEYD LOG AUTHD", n) } \
	  FNR <= 8 { print "#define USER_" n[FNR] " \"" $$1 "\"" }' conf-users > $@.new
	awk 'FNR == 1 { print "#define GROUP_SMTPD \"" $$1 "\"" } \
	  FNR == 9 { print "#define GROUP_CTL \"" $$1 "\"" }' conf-groups >> $@.new
	mv $@.new $@

$(O)/%.o: %.c $(O)/users.h
	@mkdir -p $(@D)
	@echo "compile $@"; $(CC) $(CFLAGS) $(DEPFLAGS) -I$(O) -DRELAY_HOME='"$(HOME_DIR)"' -c $< -o $@

# conf-relay is compiled in.
$(O)/lib/home.o $(O)/musl/lib/home.o: conf-relay

$(O)/lib.a: $(LIB:%=$(O)/lib/%.o)
$(O)/smtpd.a: $(SMTPD:%=$(O)/relay-smtpd/%.o) $(KEYD:%=$(O)/relay-smtpd/%.o) $(AUTHD:%=$(O)/relay-smtpd/%.o)
$(O)/send.a: $(SEND:%=$(O)/relay-send/%.o)
$(O)/remote.a: $(REMOTE:%=$(O)/relay-remote/%.o)
$(O)/log.a: $(LOG:%=$(O)/relay-log/%.o)
%.a:
	@echo "archive $@"; rm -f $@; ar rcs $@ $^

LINK = @mkdir -p $(@D); echo "link $@"; $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^)

$(SEND_PROGRAMS:%=$(B)/%): $(B)/%: $(O)/relay-send/%.o $(O)/send.a $(O)/lib.a
	$(LINK) -lcdb -lxxhash -lpthread
$(REMOTE_PROGRAMS:%=$(B)/%): $(B)/%: $(O)/relay-remote/%.o $(O)/remote.a $(O)/lib.a
	$(LINK) -lcdb -lcares -lidn2 -lresolv -lbearssl
$(LOG_PROGRAMS:%=$(B)/%): $(B)/%: $(O)/relay-log/%.o $(O)/log.a $(O)/lib.a
	$(LINK) $(if $(filter %logdb,$@),-lsqlite3 -lmariadb -lxxhash)
# The tables of relay-logdb, as a string.
$(O)/schema_sql.h: relay-log/schema.sql
	@mkdir -p $(@D)
	{ echo 'static const char schema_sql[] ='; sed 's/[\\"]/\\&/g; s/.*/  "&\\n"/' $<; echo ';'; } > $@.new
	mv $@.new $@
$(O)/relay-log/logdb_schema.o: $(O)/schema_sql.h
$(O)/relay-log/logdb_mysql.o: CFLAGS += -isystem /usr/include/mariadb
$(B)/relay-keyd: $(O)/relay-smtpd/relay-keyd.o $(KEYD:%=$(O)/relay-smtpd/%.o) $(O)/lib.a
	$(LINK) -lcdb -lbearssl
$(B)/relay-authd: $(O)/relay-smtpd/relay-authd.o $(AUTHD:%=$(O)/relay-smtpd/%.o) $(O)/lib.a
	$(LINK) -lcdb -lbearssl
$(B)/sendmail: $(B)/relay-inject
	ln -sf relay-inject $@
$(B)/relay-conf: relay-send/relay-conf.sh conf-relay conf-prefix conf-users
$(B)/relay-logdb-conf: relay-log/relay-logdb-conf.sh conf-relay conf-prefix conf-users
$(B)/relay-conf $(B)/relay-logdb-conf:
	@mkdir -p $(@D)
	sed 's|@HOME@|$(HOME_DIR)|; s|@BIN@|$(PREFIX)/bin|; s|@USER_SMTPD@|$(USER_SMTPD)|g; s|@USER_LOG@|$(USER_LOG)|g' \
	  $< > $@ && chmod 755 $@

# relay-smtpd starts once a connection, so it is static, and musl's start-up is
# half the cost of glibc's. Debian's libcdb.a is a glibc build: musl_compat.c.
ifeq ($(MUSL),yes)
SMTPD_CC = musl-gcc
SMTPD_CFLAGS = -idirafter /usr/include -idirafter /usr/include/$(MULTIARCH) -U_FORTIFY_SOURCE -ffunction-sections -fdata-sections
SMTPD_OBJ = $(O)/musl
SMTPD_EXTRA = $(O)/musl/lib/musl_compat.o $(O)/musl/lib/musl_strings.o $(O)/musl/lib/musl_arena.o
SMTPD_LDFLAGS = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free -Wl,-z,noseparate-code,-z,norelro,--gc-sections,-u,getopt
$(O)/musl/lib/musl_strings.o: SMTPD_CFLAGS += -ffreestanding -fno-builtin -fno-tree-loop-distribute-patterns
else
SMTPD_CC = $(CC)
SMTPD_CFLAGS =
SMTPD_LDFLAGS =
SMTPD_OBJ = $(O)
endif
# A sanitizer's runtime is a shared library.
SMTPD_STATIC = $(if $(findstring sanitize,$(CFLAGS_EXTRA)),,-static)

$(O)/musl/%.o: %.c $(O)/users.h
	@mkdir -p $(@D)
	@echo "compile $@"; $(SMTPD_CC) $(CFLAGS) $(SMTPD_CFLAGS) $(DEPFLAGS) -I$(O) -DRELAY_HOME='"$(HOME_DIR)"' -c $< -o $@

SMTPD_STATIC_LIBS = /usr/lib/$(MULTIARCH)/libcdb.a /usr/lib/$(MULTIARCH)/libbearssl.a
# What only TLS and AUTH use is behind the rest: a session without them does not touch its pages.
SMTPD_TLS = authd keyd tls_engine tls_pump tls_text
SMTPD_LIB = $(filter-out channel loop heap hash resolve route_plan seqpacket_group smtproutes tlsa tlspolicy work work_tls $(SMTPD_TLS),$(LIB)) $(SMTPD_TLS)
# Last in memory are the objects with the large arrays: what every session touches is in few pages.
# -u getopt: libc's part of it does not come behind them.
SMTPD_LAST = $(patsubst %,$(SMTPD_OBJ)/relay-smtpd/%.o,auth secure) $(SMTPD_OBJ)/relay-smtpd/relay-smtpd.o $(filter %/musl_arena.o,$(SMTPD_EXTRA))
$(B)/relay-smtpd: $(SMTPD:%=$(SMTPD_OBJ)/relay-smtpd/%.o) $(SMTPD_LIB:%=$(SMTPD_OBJ)/lib/%.o) \
		$(SMTPD_EXTRA) $(SMTPD_LAST)
	@mkdir -p $(@D)
	@echo "link $@"; $(SMTPD_CC) $(CFLAGS) $(SMTPD_CFLAGS) $(LDFLAGS) $(SMTPD_LDFLAGS) $(SMTPD_STATIC) -o $@ \
	  $(filter-out $(SMTPD_LAST),$^) -lc $(SMTPD_LAST) $(SMTPD_STATIC_LIBS)

# --- tests

ALL_LIBS = -lcdb -lxxhash -lcares -lidn2 -lresolv -lbearssl -lsqlite3 -lmariadb -lpthread

$(O)/unit/%: tests/unit/%.c tests/unit/check.h $(ARCHIVES)
	@mkdir -p $(@D)
	@echo "link $@"; $(CC) $(CFLAGS) $(DEPFLAGS) -MF $(O)/unit/$*.d -Itests/unit -Irelay-smtpd -Irelay-send -Irelay-remote -Irelay-log \
	  $(LDFLAGS) -o $@ $< $(ARCHIVES) $(ALL_LIBS)

check: $(UNIT:%=$(O)/unit/%)
	@failed=0; for t in $^; do $$t || failed=1; done; exit $$failed

FUZZ = $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_SECONDS = 60
$(O)/fuzz/%: tests/fuzz/%.c $(ARCHIVES)
	@mkdir -p $(@D)
	clang $(CFLAGS) -fsanitize=fuzzer -Irelay-smtpd -Irelay-send -Irelay-remote -Irelay-log -o $@ $< $(ARCHIVES) \
	  $(ALL_LIBS)
fuzz:
	$(MAKE) O=build/fuzz CC=clang MUSL=no CFLAGS_EXTRA='-fsanitize=address,undefined,fuzzer-no-link' fuzz-run
.PHONY: fuzz-run
fuzz-run: $(FUZZ:%=$(O)/fuzz/%)
	@for t in $(FUZZ); do echo "fuzz $$t"; mkdir -p $(O)/corpus/$$t; \
	  $(O)/fuzz/$$t -max_total_time=$(FUZZ_SECONDS) -verbosity=0 -artifact_prefix=$(O)/fuzz/ \
	    $(O)/corpus/$$t tests/fuzz/corpus/$${t%_fuzz} || exit 1; done

# The tools of bench/ that Debian does not have; not installed.
TOOLS = tarpit load queue_rate
tools: $(TOOLS:%=$(O)/tools/%)
$(O)/tools.a: $(O)/bench/tool.o $(O)/bench/tarpit_session.o $(O)/bench/tarpit_tls.o $(O)/bench/load_session.o
$(TOOLS:%=$(O)/tools/%): $(O)/tools/%: $(O)/bench/%.o $(O)/tools.a $(O)/lib.a
	$(LINK) $(if $(filter %tarpit,$@),-lssl -lcrypto) -lpthread

bench: all tools
	bench/run

SOAK_MINUTES = 60
soak: all
	BUILD=$(abspath $(O)) tests/soak $(SOAK_MINUTES)

install: all
	relay-send/install.sh $(O)

clean:
	rm -rf build

-include $(shell find $(O) -name '*.d' 2>/dev/null)
