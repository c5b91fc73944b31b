# unit tests of results
