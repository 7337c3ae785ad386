# The structure guard against the parser that it protects: the only test that links a layer and GMime.
check_PROGRAMS += tests/handlers/test_guard_parser
TESTS += tests/handlers/test_guard_parser
tests_handlers_test_guard_parser_SOURCES = \
	tests/handlers/mess.c tests/handlers/mess.h \
	tests/handlers/parsed.c tests/handlers/parsed.h \
	tests/handlers/test_guard_parser.c
tests_handlers_test_guard_parser_CPPFLAGS = $(TEST_CPPFLAGS)
tests_handlers_test_guard_parser_CFLAGS = $(AM_CFLAGS) $(GMIME_CFLAGS)
tests_handlers_test_guard_parser_LDADD = $(TEST_LINK) $(LINK_message) $(GMIME_LIBS)
