delivery_tests = \
	tests/unit/test_router tests/unit/test_route \
	tests/unit/test_maildir tests/unit/test_maildir_sim \
	tests/unit/test_delivery tests/unit/test_delivery_sim tests/unit/test_delivery_faults \
	tests/unit/test_commit tests/unit/test_known \
	tests/unit/test_maildirsize tests/unit/test_quota tests/unit/test_sweep
check_PROGRAMS += $(delivery_tests)
TESTS += $(delivery_tests)

# What is there before a delivery, and what lies there after it: on the real disk and on the simulated one.
maildirs_real = tests/unit/maildirs.c tests/unit/maildirs.h tests/unit/maildirs_real.c
maildirs_sim = tests/unit/maildirs.c tests/unit/maildirs.h tests/unit/maildirs_sim.c
delivery_rig = tests/unit/delivery_rig.c tests/unit/delivery_rig.h

tests_unit_test_router_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_router_LDADD = $(TEST_LINK) $(LINK_delivery_sim)

tests_unit_test_route_SOURCES = tests/unit/test_route.c tests/unit/test_route.h tests/unit/test_route_rows.c
tests_unit_test_route_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_route_LDADD = $(TEST_LINK) $(LINK_delivery_sim)

tests_unit_test_maildir_SOURCES = tests/unit/test_maildir.c $(maildirs_real)
tests_unit_test_maildir_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_maildir_LDADD = $(TEST_LINK) $(LINK_delivery)

tests_unit_test_maildir_sim_SOURCES = tests/unit/test_maildir.c $(maildirs_sim)
tests_unit_test_maildir_sim_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_maildir_sim_LDADD = $(TEST_LINK) $(LINK_delivery_sim)

tests_unit_test_delivery_SOURCES = tests/unit/test_delivery.c $(delivery_rig) $(maildirs_real)
tests_unit_test_delivery_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_delivery_LDADD = $(TEST_LINK) $(LINK_delivery)

tests_unit_test_delivery_sim_SOURCES = tests/unit/test_delivery.c $(delivery_rig) $(maildirs_sim)
tests_unit_test_delivery_sim_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_delivery_sim_LDADD = $(TEST_LINK) $(LINK_delivery_sim)

tests_unit_test_delivery_faults_SOURCES = tests/unit/test_delivery_faults.c $(delivery_rig) $(maildirs_sim)
tests_unit_test_delivery_faults_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_delivery_faults_LDADD = $(TEST_LINK) $(LINK_delivery_sim)

tests_unit_test_commit_SOURCES = tests/unit/test_commit.c $(maildirs_sim)
tests_unit_test_commit_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_commit_LDADD = $(TEST_LINK) $(LINK_delivery_sim)

tests_unit_test_known_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_known_LDADD = $(TEST_LINK) $(LINK_delivery_sim)

tests_unit_test_maildirsize_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_maildirsize_LDADD = $(TEST_LINK) $(LINK_delivery_sim)

tests_unit_test_quota_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_quota_LDADD = $(TEST_LINK) $(LINK_delivery_sim)

tests_unit_test_sweep_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_sweep_LDADD = $(TEST_LINK) $(LINK_delivery_sim)

table_tests = \
	tests/unit/test_table \
	tests/unit/test_circles \
	tests/unit/test_table_content \
	tests/unit/test_table_file \
	tests/unit/test_table_passwd \
	tests/unit/test_table_socket \
	tests/unit/test_table_sqlite
check_PROGRAMS += $(table_tests)
TESTS += $(table_tests)

table_rig = tests/unit/table_rig.c tests/unit/table_rig.h

tests_unit_test_table_SOURCES = tests/unit/test_table.c $(table_rig)
tests_unit_test_table_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_table_LDADD = $(TEST_LINK) $(LINK_delivery)

tests_unit_test_circles_SOURCES = tests/unit/test_circles.c $(table_rig)
tests_unit_test_circles_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_circles_LDADD = $(TEST_LINK) $(LINK_delivery_sim)

tests_unit_test_table_content_SOURCES = tests/unit/test_table_content.c $(table_rig)
tests_unit_test_table_content_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_table_content_LDADD = $(TEST_LINK) $(LINK_delivery_sim)

tests_unit_test_table_file_SOURCES = tests/unit/test_table_file.c $(table_rig)
tests_unit_test_table_file_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_table_file_LDADD = $(TEST_LINK) $(LINK_delivery_sim)

tests_unit_test_table_passwd_SOURCES = tests/unit/test_table_passwd.c $(table_rig)
tests_unit_test_table_passwd_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_table_passwd_LDADD = $(TEST_LINK) $(LINK_delivery)

tests_unit_test_table_socket_SOURCES = tests/unit/test_table_socket.c $(table_rig)
tests_unit_test_table_socket_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_table_socket_LDADD = $(TEST_LINK) $(LINK_delivery)

tests_unit_test_table_sqlite_SOURCES = tests/unit/test_table_sqlite.c $(table_rig)
tests_unit_test_table_sqlite_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_table_sqlite_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS)
tests_unit_test_table_sqlite_LDADD = $(TEST_LINK) $(LINK_delivery)
