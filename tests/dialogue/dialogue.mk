# Dialogues: scripts of a client's and a server's lines, played on the protocol core in memory by `dialogue`, and on the daemon over
# TCP and unix sockets by daemon.py, which starts it and runs `dialogue` against it.
check_LIBRARIES += tests/dialogue/libdialogue.a
tests_dialogue_libdialogue_a_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/support
tests_dialogue_libdialogue_a_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS)
tests_dialogue_libdialogue_a_SOURCES = \
	tests/dialogue/bytes.c tests/dialogue/bytes.h \
	tests/dialogue/play.c tests/dialogue/play.h \
	tests/dialogue/play_core.c tests/dialogue/play_core.h \
	tests/dialogue/play_socket.c tests/dialogue/play_socket.h \
	tests/dialogue/reply.c tests/dialogue/reply.h \
	tests/dialogue/script.c tests/dialogue/script.h

check_PROGRAMS += tests/dialogue/dialogue tests/dialogue/test_dialogue
tests_dialogue_dialogue_SOURCES = tests/dialogue/dialogue.c
tests_dialogue_dialogue_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/support
tests_dialogue_dialogue_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS)
tests_dialogue_dialogue_LDADD = tests/dialogue/libdialogue.a tests/support/libtlspeer.a $(LINK_smtp) $(OPENSSL_LIBS)
tests_dialogue_test_dialogue_SOURCES = tests/dialogue/test_dialogue.c
tests_dialogue_test_dialogue_CPPFLAGS = $(TEST_CPPFLAGS)
tests_dialogue_test_dialogue_LDADD = tests/dialogue/libdialogue.a $(TEST_LINK) $(LINK_smtp)

dist_check_SCRIPTS += tests/dialogue/daemon.py
TESTS += tests/dialogue/test_dialogue tests/dialogue/dialogue tests/dialogue/daemon.py

# A pattern, so that no script can be forgotten.
EXTRA_DIST += $(srcdir)/tests/dialogue/*.smtp $(srcdir)/tests/dialogue/PHASES.md
