check_PROGRAMS += tests/unit/test_lines tests/unit/test_trace
TESTS += tests/unit/test_lines tests/unit/test_trace

tests_unit_test_lines_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_lines_LDADD = $(TEST_LINK) $(LINK_message)

tests_unit_test_trace_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_trace_LDADD = $(TEST_LINK) $(LINK_message)
