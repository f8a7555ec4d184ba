"""Rendering, errors and options that command line and kit share (click)."""
