noinst_LIBRARIES += src/server/libserver.a
src_server_libserver_a_CFLAGS = $(AM_CFLAGS) $(MICROHTTPD_CFLAGS)
src_server_libserver_a_SOURCES = \
	src/server/background.c src/server/background.h \
	src/server/domains.c src/server/domains.h \
	src/server/handlers.c src/server/handlers.h \
	src/server/identity.c src/server/identity.h \
	src/server/listeners.c src/server/listeners.h \
	src/server/log_sink.c src/server/log_sink.h \
	src/server/master.c src/server/master.h \
	src/server/metrics.c src/server/metrics.h \
	src/server/metrics_process.c src/server/metrics_process.h \
	src/server/metrics_text.c src/server/metrics_text.h \
	src/server/offline.c src/server/offline.h \
	src/server/offline_report.c src/server/offline_report.h \
	src/server/pid_file.c src/server/pid_file.h \
	src/server/reload.c src/server/reload.h \
	src/server/settings.c src/server/settings.h \
	src/server/show_route.c src/server/show_route.h \
	src/server/show_tlsa.c src/server/show_tlsa.h \
	src/server/sockets.c src/server/sockets.h \
	src/server/spool.c src/server/spool.h \
	src/server/tls_settings.c src/server/tls_settings.h \
	src/server/trial.c src/server/trial.h \
	src/server/trial_login.c src/server/trial_login.h \
	src/server/trial_mail.c src/server/trial_mail.h \
	src/server/typed_lines.c src/server/typed_lines.h \
	src/server/values.c src/server/values.h \
	src/server/watch.c src/server/watch.h \
	src/server/worker_process.c src/server/worker_process.h

LINK_server = src/server/libserver.a $(LINK_config) $(LINK_worker) $(MICROHTTPD_LIBS)
