check_PROGRAMS += tests/unit/test_reactor_sim
TESTS += tests/unit/test_reactor_sim
tests_unit_test_reactor_sim_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_reactor_sim_LDADD = $(LINK_reactor_sim) $(TEST_LINK)
