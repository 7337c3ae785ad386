# Fuzzing. As built by default, a target replays its corpus; after configure CC=clang --enable-fuzzing, `make fuzz` builds them with
# libFuzzer (tests/README.md tells how to run them).
FUZZ_TARGETS = \
	tests/fuzz/fuzz_address \
	tests/fuzz/fuzz_command \
	tests/fuzz/fuzz_guard \
	tests/fuzz/fuzz_line \
	tests/fuzz/fuzz_parameters \
	tests/fuzz/fuzz_pool \
	tests/fuzz/fuzz_proxy \
	tests/fuzz/fuzz_session \
	tests/fuzz/fuzz_tls \
	tests/fuzz/fuzz_wire \
	tests/fuzz/fuzz_xclient

check_LIBRARIES += tests/fuzz/libfuzz.a
tests_fuzz_libfuzz_a_SOURCES = \
	tests/fuzz/fuzz.c tests/fuzz/fuzz.h \
	tests/fuzz/slow_data.c tests/fuzz/slow_data.h \
	tests/fuzz/steps.c tests/fuzz/steps.h \
	tests/fuzz/talk.c tests/fuzz/talk.h
if FUZZING
FUZZ_LINK = $(FUZZ_ENGINE) tests/fuzz/libfuzz.a
else
FUZZ_LINK = tests/fuzz/libfuzz.a
tests_fuzz_libfuzz_a_SOURCES += tests/fuzz/replay.c
TESTS += $(FUZZ_TARGETS)
endif

check_PROGRAMS += $(FUZZ_TARGETS)
tests_fuzz_fuzz_address_LDADD = $(FUZZ_LINK) $(LINK_smtp)
tests_fuzz_fuzz_command_LDADD = $(FUZZ_LINK) $(LINK_smtp)
tests_fuzz_fuzz_guard_LDADD = $(FUZZ_LINK) $(LINK_message)
tests_fuzz_fuzz_line_LDADD = $(FUZZ_LINK) $(LINK_message)
tests_fuzz_fuzz_parameters_LDADD = $(FUZZ_LINK) $(LINK_smtp)
tests_fuzz_fuzz_pool_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/support
tests_fuzz_fuzz_pool_SOURCES = tests/fuzz/fuzz_pool.c tests/support/host_play.c tests/support/host_play.h
tests_fuzz_fuzz_pool_LDADD = $(FUZZ_LINK) $(LINK_handlers_sim)
tests_fuzz_fuzz_proxy_LDADD = $(FUZZ_LINK) $(LINK_net)
tests_fuzz_fuzz_session_LDADD = $(FUZZ_LINK) $(LINK_smtp)
tests_fuzz_fuzz_tls_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/support $(OPENSSL_CFLAGS)
tests_fuzz_fuzz_tls_SOURCES = tests/fuzz/fuzz_tls.c \
	tests/support/certificates.c tests/support/certificates.h \
	tests/support/tls_peer.c tests/support/tls_peer.h
tests_fuzz_fuzz_tls_LDADD = $(FUZZ_LINK) $(LINK_net)
tests_fuzz_fuzz_wire_LDADD = $(FUZZ_LINK) $(LINK_handlers)
tests_fuzz_fuzz_xclient_LDADD = $(FUZZ_LINK) $(LINK_smtp)

fuzz: $(FUZZ_TARGETS)
.PHONY: fuzz

# Patterns, so that no input can be forgotten.
EXTRA_DIST += $(srcdir)/tests/fuzz/*.dict $(srcdir)/tests/fuzz/corpus/*/*
