# One suite, compiled once and linked to both twins of the seam.
check_LIBRARIES += tests/contract/libreactor_contract.a
tests_contract_libreactor_contract_a_CPPFLAGS = $(TEST_CPPFLAGS)
tests_contract_libreactor_contract_a_SOURCES = \
	tests/contract/reactor_contract.c tests/contract/reactor_contract.h \
	tests/contract/reactor_diary.c tests/contract/reactor_diary.h \
	tests/contract/reactor_loop.c \
	tests/contract/reactor_timers.c \
	tests/contract/reactor_streams.c \
	tests/contract/reactor_breaks.c \
	tests/contract/reactor_listeners.c \
	tests/contract/reactor_children.c \
	tests/contract/reactor_channels.c

check_PROGRAMS += tests/contract/test_reactor_uv tests/contract/test_reactor_sim
TESTS += tests/contract/test_reactor_uv tests/contract/test_reactor_sim

tests_contract_test_reactor_uv_CPPFLAGS = $(TEST_CPPFLAGS)
tests_contract_test_reactor_uv_CFLAGS = $(AM_CFLAGS) $(UV_CFLAGS)
tests_contract_test_reactor_uv_SOURCES = tests/contract/reactor_twin_uv.c
tests_contract_test_reactor_uv_LDADD = tests/contract/libreactor_contract.a $(LINK_reactor) $(TEST_LINK)

tests_contract_test_reactor_sim_CPPFLAGS = $(TEST_CPPFLAGS)
tests_contract_test_reactor_sim_SOURCES = tests/contract/reactor_twin_sim.c
tests_contract_test_reactor_sim_LDADD = tests/contract/libreactor_contract.a $(LINK_reactor_sim) $(TEST_LINK)
