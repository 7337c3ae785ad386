# Measurements are no tests: nobody can tell from a figure whether it was the code or the machine. That they still run is one.
BENCH_TESTS = tests/bench/test_bench.py
BENCH_RUN = $(BENCH_TESTS)
TESTS += $(BENCH_RUN)
dist_check_SCRIPTS += $(BENCH_TESTS) tests/bench/bench.py tests/bench/on-disk
EXTRA_DIST += tests/bench/README.md tests/bench/peers.py tests/bench/smtp-server.js

# What bench.py has counted and timed without the daemon.
check_PROGRAMS += tests/bench/core
tests_bench_core_LDADD = $(LINK_message)

# By itself: a million aliases.
check_PROGRAMS += tests/bench/tables
tests_bench_tables_LDADD = $(LINK_delivery)

# What the file system alone can do.
check_PROGRAMS += tests/bench/floor
tests_bench_floor_LDFLAGS = -pthread

# Handlers, and what GMime alone takes.
BENCH_HANDLERS = tests/bench/noop.so tests/bench/nth_part.so
check_DATA += $(BENCH_HANDLERS)
CLEANFILES += $(BENCH_HANDLERS)
EXTRA_DIST += $(BENCH_HANDLERS:.so=.c) tests/bench/handlers.py
$(BENCH_HANDLERS): $(top_srcdir)/src/include/postern/handler.h

check_PROGRAMS += tests/bench/parse
tests_bench_parse_CFLAGS = $(AM_CFLAGS) $(GMIME_CFLAGS)
tests_bench_parse_LDADD = $(GMIME_LIBS)

# Messages as MTAs send them: pipelined, and over TLS. smtp-source does neither.
EXTRA_DIST += tests/bench/tls_benches.py tests/bench/turns.bt
if HAVE_GNUTLS
check_PROGRAMS += tests/bench/source
endif
tests_bench_source_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS)
tests_bench_source_LDFLAGS = -pthread
tests_bench_source_LDADD = $(GNUTLS_LIBS)
