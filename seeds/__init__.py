"""Sample files and reference tables that ship with the wheel.

Read them with ``importlib.resources.files("seeds")``; the sample documents
are in ``raw/`` and described in ``raw.md``.

Belongs here: data.
Does not belong here: code.
"""
