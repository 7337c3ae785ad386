SERVER_TESTS = \
	tests/unit/test_given \
	tests/unit/test_log_batches \
	tests/unit/test_log_sink \
	tests/unit/test_metrics_text \
	tests/unit/test_settings \
	tests/unit/test_sockets \
	tests/unit/test_spool \
	tests/unit/test_tls_settings \
	tests/unit/test_typed_lines \
	tests/unit/test_watch
check_PROGRAMS += $(SERVER_TESTS)
TESTS += $(SERVER_TESTS)

tests_unit_test_given_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_given_LDADD = $(TEST_LINK) $(LINK_cli)
tests_unit_test_log_batches_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_log_batches_LDADD = $(TEST_LINK) src/server/libserver.a $(LINK_reactor_sim)
tests_unit_test_log_sink_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_log_sink_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=syslog,--wrap=__syslog_chk
tests_unit_test_log_sink_LDADD = $(TEST_LINK) $(LINK_server)
tests_unit_test_metrics_text_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_metrics_text_LDADD = $(TEST_LINK) $(LINK_server)
tests_unit_test_settings_CPPFLAGS = $(TEST_CPPFLAGS) -DSAMPLE='"$(abs_top_srcdir)/conf/postern.conf"'
tests_unit_test_settings_LDADD = $(TEST_LINK) $(LINK_server)
tests_unit_test_sockets_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_sockets_LDADD = $(TEST_LINK) $(LINK_server)
tests_unit_test_spool_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_spool_LDADD = $(TEST_LINK) $(LINK_server)
tests_unit_test_typed_lines_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_typed_lines_LDADD = $(TEST_LINK) $(LINK_server)
tests_unit_test_tls_settings_CPPFLAGS = $(TEST_CPPFLAGS) $(OPENSSL_CFLAGS)
tests_unit_test_tls_settings_LDADD = tests/support/libtlspeer.a $(TEST_LINK) $(LINK_server)
tests_unit_test_watch_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_watch_LDADD = $(TEST_LINK) $(LINK_server)
