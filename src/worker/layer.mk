noinst_LIBRARIES += src/worker/libworker.a
src_worker_libworker_a_SOURCES = \
	src/worker/conn.c src/worker/conn.h src/worker/conn_internal.h \
	src/worker/conn_auth.c src/worker/conn_client.c src/worker/conn_tls.c \
	src/worker/counters.c src/worker/counters.h \
	src/worker/crowd.c src/worker/crowd.h \
	src/worker/envelope.c src/worker/envelope.h \
	src/worker/lookup.c src/worker/lookup.h \
	src/worker/handling.c src/worker/handling.h \
	src/worker/handshakes.c src/worker/handshakes.h \
	src/worker/greeting.c src/worker/greeting.h \
	src/worker/session_log.c src/worker/session_log.h \
	src/worker/transaction.c src/worker/transaction.h src/worker/transaction_internal.h \
	src/worker/verdict.c src/worker/verdict.h \
	src/worker/worker.c src/worker/worker.h

LINK_worker = src/worker/libworker.a $(LINK_net) $(LINK_auth) $(LINK_handlers) $(LINK_delivery)
LINK_worker_sim = src/worker/libworker.a $(LINK_net_sim) $(LINK_auth_sim) $(LINK_handlers_sim) $(LINK_delivery_sim)
