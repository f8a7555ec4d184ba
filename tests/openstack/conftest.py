"""What the tests with OpenStack's own packages share."""
