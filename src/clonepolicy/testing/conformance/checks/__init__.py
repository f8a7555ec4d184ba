"""The checks that the kit comes with, by kind of adapter and by subject."""
