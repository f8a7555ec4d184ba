"""Files: what the arrays of files and the local cloud share."""
