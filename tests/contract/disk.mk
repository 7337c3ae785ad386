# One suite, three programs: the simulated file system, the real one, and the real one on a kernel that lacks what is new.
check_PROGRAMS += tests/contract/test_disk_sim tests/contract/test_disk_posix tests/contract/test_disk_posix_old
TESTS += tests/contract/test_disk_sim tests/contract/test_disk_posix tests/contract/test_disk_posix_old

DISK_CONTRACT = \
	tests/contract/disk_contract.c tests/contract/disk_contract.h \
	tests/contract/disk_contract_arguments.c \
	tests/contract/disk_contract_content.c \
	tests/contract/disk_contract_names.c \
	tests/contract/disk_contract_paths.c

tests_contract_test_disk_sim_SOURCES = $(DISK_CONTRACT) tests/contract/disk_shim_sim.c
tests_contract_test_disk_sim_CPPFLAGS = $(TEST_CPPFLAGS)
tests_contract_test_disk_sim_LDADD = $(TEST_LINK) $(LINK_disk_sim)

DISK_CONTRACT_POSIX = $(DISK_CONTRACT) tests/contract/disk_shim_posix.c tests/contract/disk_shim_filter.h

tests_contract_test_disk_posix_SOURCES = $(DISK_CONTRACT_POSIX) tests/contract/disk_shim_filter_none.c
tests_contract_test_disk_posix_CPPFLAGS = $(TEST_CPPFLAGS)
tests_contract_test_disk_posix_LDADD = $(TEST_LINK) $(LINK_disk)

tests_contract_test_disk_posix_old_SOURCES = $(DISK_CONTRACT_POSIX) tests/contract/disk_shim_filter_old.c
tests_contract_test_disk_posix_old_CPPFLAGS = $(TEST_CPPFLAGS)
tests_contract_test_disk_posix_old_LDADD = $(TEST_LINK) $(LINK_disk)
