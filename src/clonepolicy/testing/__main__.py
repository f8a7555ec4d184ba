"""``python -m clonepolicy.testing``."""

from clonepolicy._terminal.start import start

if __name__ == "__main__":
    start(
        "clonepolicy.testing.conformance._program",
        prog_name="python -m clonepolicy.testing",
        extra="testing",
    )
