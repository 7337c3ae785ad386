worker_tests = \
	tests/unit/test_counters \
	tests/unit/test_crowd \
	tests/unit/test_envelope \
	tests/unit/test_greeting \
	tests/unit/test_lookup \
	tests/unit/test_verdict
check_PROGRAMS += $(worker_tests)
TESTS += $(worker_tests)

tests_unit_test_counters_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_counters_LDADD = $(TEST_LINK) $(LINK_worker_sim)

tests_unit_test_crowd_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_crowd_LDADD = $(TEST_LINK) $(LINK_worker_sim)

tests_unit_test_envelope_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_envelope_LDADD = $(TEST_LINK) $(LINK_worker_sim)

tests_unit_test_greeting_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_greeting_LDADD = $(TEST_LINK) $(LINK_worker)

tests_unit_test_lookup_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_lookup_LDADD = $(TEST_LINK) $(LINK_worker_sim)

tests_unit_test_verdict_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_verdict_LDADD = $(TEST_LINK) $(LINK_worker_sim)
