MESSAGE_TESTS = \
	tests/unit/test_guard \
	tests/unit/test_hops \
	tests/unit/test_lines \
	tests/unit/test_lines_portable \
	tests/unit/test_trace
check_PROGRAMS += $(MESSAGE_TESTS)
TESTS += $(MESSAGE_TESTS)

tests_unit_test_hops_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_hops_LDADD = $(TEST_LINK) $(LINK_message)
tests_unit_test_lines_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_lines_LDADD = $(TEST_LINK) $(LINK_message)
# As other processors than this one have it.
tests_unit_test_lines_portable_SOURCES = tests/unit/test_lines.c src/message/lines.c
tests_unit_test_lines_portable_CPPFLAGS = $(TEST_CPPFLAGS) -DLINES_PORTABLE
tests_unit_test_lines_portable_LDADD = $(TEST_LINK) $(LINK_message)
tests_unit_test_trace_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_trace_LDADD = $(TEST_LINK) $(LINK_message)
tests_unit_test_guard_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_guard_LDADD = $(TEST_LINK) $(LINK_message)
