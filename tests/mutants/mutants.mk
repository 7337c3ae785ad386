# Bugs to be caught, each a patch, and the script that tries them; contrib/check --long runs it.
EXTRA_DIST += tests/mutants/README.md tests/mutants/run $(srcdir)/tests/mutants/*.patch
