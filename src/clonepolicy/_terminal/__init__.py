"""Rendering, errors and options of the command line and of the kit (click)."""
