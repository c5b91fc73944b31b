# unit tests of backends
