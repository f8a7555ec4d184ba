"""What helps to test code that uses or extends clonepolicy."""
