"""Workflows: one module or sub-package per command. Each connects the packages below it."""
