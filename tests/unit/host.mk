HOST_TESTS = \
	tests/unit/test_field \
	tests/unit/test_header_text \
	tests/unit/test_parameter \
	tests/unit/test_parts \
	tests/unit/test_sandbox
check_PROGRAMS += $(HOST_TESTS)
TESTS += $(HOST_TESTS)

tests_unit_test_field_CPPFLAGS = $(TEST_CPPFLAGS) $(GMIME_CFLAGS)
tests_unit_test_field_LDADD = $(TEST_LINK) $(LINK_host)
tests_unit_test_header_text_CPPFLAGS = $(TEST_CPPFLAGS) $(GMIME_CFLAGS)
tests_unit_test_header_text_LDADD = $(TEST_LINK) $(LINK_host)
tests_unit_test_parameter_CPPFLAGS = $(TEST_CPPFLAGS) $(GMIME_CFLAGS)
tests_unit_test_parameter_LDADD = $(TEST_LINK) $(LINK_host)
tests_unit_test_parts_CPPFLAGS = $(TEST_CPPFLAGS) $(GMIME_CFLAGS)
tests_unit_test_parts_LDADD = $(TEST_LINK) $(LINK_host)
tests_unit_test_sandbox_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_sandbox_LDADD = $(TEST_LINK) $(LINK_host)
