# The daemon from outside: real clients, real readers, and what can happen to processes, connections and disks. Python's standard
# library only. `make check INTEGRATION_RUN=` leaves them out.
INTEGRATION_TESTS = \
	tests/integration/test_auth_attacks.py \
	tests/integration/test_auth_dovecot.py \
	tests/integration/test_certificates_reload.py \
	tests/integration/test_clients.py \
	tests/integration/test_clock.py \
	tests/integration/test_config.py \
	tests/integration/test_contrib_handlers.py \
	tests/integration/test_delivery.py \
	tests/integration/test_dovecot.py \
	tests/integration/test_exhausted.py \
	tests/integration/test_fail2ban.py \
	tests/integration/test_faults.py \
	tests/integration/test_handle.py \
	tests/integration/test_handlers.py \
	tests/integration/test_handlers_zoo.py \
	tests/integration/test_headers.py \
	tests/integration/test_kills.py \
	tests/integration/test_lifecycle.py \
	tests/integration/test_limits.py \
	tests/integration/test_metrics.py \
	tests/integration/test_overload.py \
	tests/integration/test_passwd.py \
	tests/integration/test_protocol.py \
	tests/integration/test_readers.py \
	tests/integration/test_reload.py \
	tests/integration/test_route.py \
	tests/integration/test_routing.py \
	tests/integration/test_servers.py \
	tests/integration/test_testssl.py \
	tests/integration/test_tls.py \
	tests/integration/test_tls_attacks.py \
	tests/integration/test_tls_check.py \
	tests/integration/test_tls_clients.py \
	tests/integration/test_tlsa.py \
	tests/integration/test_try.py
INTEGRATION_RUN = $(INTEGRATION_TESTS)
TESTS += $(INTEGRATION_RUN)
dist_check_SCRIPTS += $(INTEGRATION_TESTS) tests/integration/packages
EXTRA_DIST += tests/integration/certificates.py tests/integration/harness.py tests/integration/faults.py tests/integration/load.py tests/integration/nodemailer.js \
	tests/integration/postfix.py tests/integration/scram.py tests/integration/tap.py tests/integration/tls.py \
	tests/integration/tls_by_hand.py

# postern, but for the disk and the clocks, which do what tests say: libdisk.a has nothing left to add to it.
check_PROGRAMS += tests/integration/postern_faulty
tests_integration_postern_faulty_SOURCES = src/cli/main.c tests/integration/disk_faulty.c tests/integration/clock_faulty.c
tests_integration_postern_faulty_LDADD = $(LINK_cli)

# What the daemon asks Dovecot, without the daemon.
check_PROGRAMS += tests/integration/auth_client
tests_integration_auth_client_SOURCES = tests/integration/auth_client.c
tests_integration_auth_client_CFLAGS = $(AM_CFLAGS) $(GSASL_CFLAGS)
tests_integration_auth_client_LDADD = $(LINK_auth)
