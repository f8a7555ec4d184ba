"""``python -m clonepolicy.cli``."""

from clonepolicy.cli import main

if __name__ == "__main__":
    main()
