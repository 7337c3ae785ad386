# The worker in simulation: the production code from worker downward on the simulated reactor and disk.
SIM_TESTS = tests/sim/test_authenticated tests/sim/test_bounds tests/sim/test_crowded tests/sim/test_ends tests/sim/test_handled tests/sim/test_hangups \
	tests/sim/test_hosts tests/sim/test_mail tests/sim/test_oracle tests/sim/test_patience tests/sim/test_plan tests/sim/test_replies tests/sim/test_secured tests/sim/test_swept
sim_rig = tests/sim/rig.c tests/sim/rig.h
sim_rig_tls = tests/sim/rig_tls.c tests/sim/rig_tls.h
check_PROGRAMS += tests/sim/postern-sim $(SIM_TESTS)
TESTS += tests/sim/postern-sim $(SIM_TESTS)
tests_sim_postern_sim_SOURCES = tests/sim/postern_sim.c tests/sim/world.c tests/sim/world.h tests/sim/life.c tests/sim/life.h \
	tests/sim/callers.c tests/sim/callers.h \
	tests/sim/plan.c tests/sim/plan.h $(sim_mail) tests/sim/trace.c tests/sim/trace.h \
	tests/sim/shrink.c tests/sim/shrink.h tests/sim/sim.c tests/sim/sim.h \
	$(sim_speakers) $(sim_hosts) $(sim_memory)
sim_mail = tests/sim/mail.c tests/sim/mail.h tests/sim/leftovers.c tests/sim/leftovers.h tests/sim/stored.c tests/sim/stored.h
sim_oracle = tests/sim/oracle.c tests/sim/oracle.h tests/sim/oracle_judge.c tests/sim/oracle_judge.h tests/sim/phrase.c \
	tests/sim/phrase.h tests/sim/content.c tests/sim/content.h tests/sim/replies.c tests/sim/replies.h
sim_speakers = tests/sim/speaker.c tests/sim/speaker.h tests/sim/talker.c tests/sim/talker.h tests/sim/talker_internal.h \
	tests/sim/mischief.c tests/sim/letter.c tests/sim/letter.h $(sim_oracle)
tests_sim_postern_sim_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sim_postern_sim_LDFLAGS = $(AM_LDFLAGS) $(sim_memory_ldflags)
tests_sim_postern_sim_LDADD = $(TEST_LINK) $(LINK_worker_sim)
tests_sim_test_crowded_SOURCES = tests/sim/test_crowded.c $(sim_rig)
tests_sim_test_crowded_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sim_test_crowded_LDADD = $(TEST_LINK) $(LINK_worker_sim)
tests_sim_test_oracle_SOURCES = tests/sim/test_oracle.c tests/sim/sim.c tests/sim/sim.h $(sim_oracle)
tests_sim_test_oracle_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sim_test_oracle_LDADD = $(TEST_LINK) $(LINK_worker_sim)
tests_sim_test_mail_SOURCES = tests/sim/test_mail.c $(sim_mail) tests/sim/sim.c tests/sim/sim.h
tests_sim_test_mail_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sim_test_mail_LDADD = $(TEST_LINK) $(LINK_disk_sim)
tests_sim_test_plan_SOURCES = tests/sim/test_plan.c tests/sim/plan.c tests/sim/plan.h
tests_sim_test_plan_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sim_test_plan_LDADD = $(TEST_LINK) $(LINK_disk_sim)
tests_sim_test_hangups_SOURCES = tests/sim/test_hangups.c $(sim_rig)
tests_sim_test_hangups_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sim_test_hangups_LDADD = $(TEST_LINK) $(LINK_worker_sim)
tests_sim_test_patience_SOURCES = tests/sim/test_patience.c $(sim_rig)
tests_sim_test_patience_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sim_test_patience_LDADD = $(TEST_LINK) $(LINK_worker_sim)
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
# What counts a worker's memory stands between it and the disk, and between it and the system's mmap.
sim_memory = tests/sim/memory.c tests/sim/memory.h tests/sim/memory_internal.h \
	tests/sim/memory_seams.c
sim_memory_ldflags = \
	-Wl,--wrap=mmap,--wrap=munmap,--wrap=disk_open_root,--wrap=disk_open_path,--wrap=disk_open_beneath \
	-Wl,--wrap=disk_stat,--wrap=disk_stat_open,--wrap=disk_create,--wrap=disk_open_file,--wrap=disk_open_append \
	-Wl,--wrap=disk_mkdir,--wrap=disk_rmdir,--wrap=disk_append,--wrap=disk_read,--wrap=disk_append_copy \
	-Wl,--wrap=disk_scratch,--wrap=disk_truncate,--wrap=disk_sync,--wrap=disk_check,--wrap=disk_sync_dir \
	-Wl,--wrap=disk_can_sync_all,--wrap=disk_sync_all,--wrap=disk_rename,--wrap=disk_link,--wrap=disk_replace \
	-Wl,--wrap=disk_unlink,--wrap=disk_list,--wrap=disk_close,--wrap=disk_write_out
tests_sim_test_bounds_SOURCES = tests/sim/test_bounds.c tests/sim/sim.c tests/sim/sim.h $(sim_hosts) $(sim_memory) $(sim_rig) $(sim_rig_tls)
tests_sim_test_bounds_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sim_test_bounds_LDFLAGS = $(AM_LDFLAGS) $(sim_memory_ldflags)
tests_sim_test_bounds_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS)
tests_sim_test_bounds_LDADD = tests/support/libtlspeer.a $(TEST_LINK) $(LINK_worker_sim)
tests_sim_test_handled_SOURCES = tests/sim/test_handled.c $(sim_rig) tests/support/host_play.c tests/support/host_play.h
tests_sim_test_handled_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sim_test_handled_LDADD = $(TEST_LINK) $(LINK_worker_sim)
tests_sim_test_secured_SOURCES = tests/sim/test_secured.c $(sim_rig) $(sim_rig_tls)
tests_sim_test_secured_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sim_test_secured_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS)
tests_sim_test_secured_LDADD = tests/support/libtlspeer.a $(TEST_LINK) $(LINK_worker_sim)
# What is hashed, and when, is seen by who stands before crypt(3).
tests_sim_test_authenticated_SOURCES = tests/sim/test_authenticated.c $(sim_rig)
tests_sim_test_authenticated_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sim_test_authenticated_CFLAGS = $(AM_CFLAGS) $(CRYPT_CFLAGS)
tests_sim_test_authenticated_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=crypt_r
tests_sim_test_authenticated_LDADD = $(TEST_LINK) $(LINK_worker_sim)
tests_sim_test_ends_SOURCES = tests/sim/test_ends.c $(sim_rig) tests/support/host_play.c tests/support/host_play.h
tests_sim_test_ends_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sim_test_ends_LDADD = $(TEST_LINK) $(LINK_worker_sim)
