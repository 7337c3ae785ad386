# The worker on simulated seams, whose disk fails at each call in turn, or loses its power there.
check_PROGRAMS += tests/fault/test_faults
TESTS += tests/fault/test_faults
tests_fault_test_faults_SOURCES = tests/fault/test_faults.c tests/fault/scene.c tests/fault/scene.h
tests_fault_test_faults_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fault_test_faults_LDADD = $(TEST_LINK) $(LINK_worker_sim)
