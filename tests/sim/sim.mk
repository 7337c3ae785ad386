# The worker in simulation: the production code from worker downward on the simulated reactor and disk.
SIM_TESTS = tests/sim/test_sim tests/sim/test_crowded tests/sim/test_hosts tests/sim/test_replies tests/sim/test_swept
sim_rig = tests/sim/rig.c tests/sim/rig.h
check_PROGRAMS += $(SIM_TESTS)
TESTS += $(SIM_TESTS)
tests_sim_test_sim_SOURCES = tests/sim/test_sim.c tests/sim/world.c tests/sim/world.h tests/sim/client.c tests/sim/client.h \
	tests/sim/letter.c tests/sim/letter.h
tests_sim_test_sim_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sim_test_sim_LDADD = $(TEST_LINK) $(LINK_worker_sim)
tests_sim_test_crowded_SOURCES = tests/sim/test_crowded.c $(sim_rig)
tests_sim_test_crowded_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sim_test_crowded_LDADD = $(TEST_LINK) $(LINK_worker_sim)
tests_sim_test_replies_SOURCES = tests/sim/test_replies.c $(sim_rig)
tests_sim_test_replies_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sim_test_replies_LDADD = $(TEST_LINK) $(LINK_worker_sim)
tests_sim_test_swept_SOURCES = tests/sim/test_swept.c $(sim_rig)
tests_sim_test_swept_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sim_test_swept_LDADD = $(TEST_LINK) $(LINK_worker_sim)
sim_hosts = tests/sim/hosts.c tests/sim/hosts.h tests/support/host_play.c tests/support/host_play.h
tests_sim_test_hosts_SOURCES = tests/sim/test_hosts.c tests/sim/sim.c tests/sim/sim.h $(sim_hosts) $(sim_rig)
tests_sim_test_hosts_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sim_test_hosts_LDADD = $(TEST_LINK) $(LINK_worker_sim)
