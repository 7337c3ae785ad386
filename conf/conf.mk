# A sample, and not the configuration itself: what an operator wrote is never touched.
exampledir = $(docdir)/examples
dist_example_DATA = conf/postern.conf
