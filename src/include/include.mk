# What is installed for those who build against postern: #include <postern/...>.
nodist_pkginclude_HEADERS = src/include/postern/version.h
