check_PROGRAMS += tests/unit/test_crowd
TESTS += tests/unit/test_crowd
tests_unit_test_crowd_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_crowd_LDADD = $(TEST_LINK) $(LINK_worker_sim)
