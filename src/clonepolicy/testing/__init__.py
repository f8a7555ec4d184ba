"""For the tests of those who use or extend clonepolicy."""
