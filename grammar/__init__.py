"""Grammars: what constrains a `gen`, compiled and applied as token masks.

Nothing is loaded here: import the module you need, most are light.
"""
