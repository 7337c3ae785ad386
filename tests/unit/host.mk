HOST_TESTS = \
	tests/unit/test_header_text
check_PROGRAMS += $(HOST_TESTS)
TESTS += $(HOST_TESTS)

tests_unit_test_header_text_CPPFLAGS = $(TEST_CPPFLAGS) $(GMIME_CFLAGS)
tests_unit_test_header_text_LDADD = $(TEST_LINK) $(LINK_host)
