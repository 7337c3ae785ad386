check_PROGRAMS += tests/unit/test_crowd tests/unit/test_greeting
TESTS += tests/unit/test_crowd tests/unit/test_greeting

tests_unit_test_crowd_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_crowd_LDADD = $(TEST_LINK) $(LINK_worker_sim)

tests_unit_test_greeting_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_greeting_LDADD = $(TEST_LINK) $(LINK_worker)
