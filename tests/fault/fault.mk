# The worker on simulated seams, whose disk fails at each call in turn, or loses its power there.
check_PROGRAMS += tests/fault/test_faults
TESTS += tests/fault/test_faults
FAULT_SCENE = \
	tests/fault/scene.c tests/fault/scene.h tests/fault/scene_internal.h \
	tests/fault/scene_check.c tests/fault/scene_handlers.c tests/fault/scene_plans.c \
	tests/support/host_play.c tests/support/host_play.h
tests_fault_test_faults_SOURCES = tests/fault/test_faults.c $(FAULT_SCENE)
tests_fault_test_faults_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fault_test_faults_LDADD = $(TEST_LINK) $(LINK_worker_sim)

# The same, whose power fails at each call, or which is killed there: in all worlds that this may leave, another one goes on.
check_PROGRAMS += tests/fault/test_crashes
TESTS += tests/fault/test_crashes
tests_fault_test_crashes_SOURCES = tests/fault/test_crashes.c $(FAULT_SCENE)
tests_fault_test_crashes_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fault_test_crashes_LDADD = $(TEST_LINK) $(LINK_worker_sim)
