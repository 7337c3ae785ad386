BASE_TESTS = \
	tests/unit/test_diag \
	tests/unit/test_log \
	tests/unit/test_number \
	tests/unit/test_option \
	tests/unit/test_random \
	tests/unit/test_slice \
	tests/unit/test_stand_back
check_PROGRAMS += $(BASE_TESTS)
TESTS += $(BASE_TESTS)

tests_unit_test_diag_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_diag_LDADD = $(TEST_LINK) $(LINK_base)
tests_unit_test_log_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_log_LDADD = $(TEST_LINK) $(LINK_base)
tests_unit_test_number_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_number_LDADD = $(TEST_LINK) $(LINK_base)
tests_unit_test_option_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_option_LDADD = $(TEST_LINK) $(LINK_base)
tests_unit_test_random_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_random_LDADD = $(TEST_LINK) $(LINK_base)
tests_unit_test_slice_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_slice_LDADD = $(TEST_LINK) $(LINK_base)
tests_unit_test_stand_back_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_stand_back_LDADD = $(TEST_LINK) $(LINK_base)
