# unit tests of calendar
