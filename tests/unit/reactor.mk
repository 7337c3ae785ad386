check_PROGRAMS += tests/unit/test_reactor_sim
TESTS += tests/unit/test_reactor_sim
tests_unit_test_reactor_sim_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_reactor_sim_LDADD = $(LINK_reactor_sim) $(TEST_LINK)

check_PROGRAMS += tests/unit/test_child_birth
TESTS += tests/unit/test_child_birth
tests_unit_test_child_birth_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_child_birth_LDADD = $(LINK_reactor) $(TEST_LINK)

check_PROGRAMS += tests/unit/test_nursery
TESTS += tests/unit/test_nursery
tests_unit_test_nursery_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_nursery_LDADD = $(LINK_reactor) $(TEST_LINK)
