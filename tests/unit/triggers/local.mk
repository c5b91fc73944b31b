# unit tests of triggers
