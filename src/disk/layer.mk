# The seam to the file system: one header, two implementations, chosen by which library is linked.
noinst_LIBRARIES += src/disk/libdisk.a
src_disk_libdisk_a_SOURCES = src/disk/disk.h src/disk/disk_name.h src/disk/disk_posix.c

check_LIBRARIES += src/disk/libdisk_sim.a
src_disk_libdisk_sim_a_SOURCES = \
	src/disk/disk.h src/disk/disk_name.h \
	src/disk/disk_sim.c src/disk/disk_sim.h \
	src/disk/disk_sim_descriptor.c src/disk/disk_sim_descriptor.h \
	src/disk/disk_sim_fault.c src/disk/disk_sim_fault.h \
	src/disk/disk_sim_files.c src/disk/disk_sim_files.h \
	src/disk/disk_sim_internal.h \
	src/disk/disk_sim_names.c \
	src/disk/disk_sim_tree.c src/disk/disk_sim_tree.h \
	src/disk/disk_sim_worlds.c src/disk/disk_sim_worlds.h

LINK_disk = src/disk/libdisk.a $(LINK_base)
LINK_disk_sim = src/disk/libdisk_sim.a $(LINK_base)
