# What is installed for those who build against postern: #include <postern/...>.
pkginclude_HEADERS = src/include/postern/handler.h
nodist_pkginclude_HEADERS = src/include/postern/version.h
