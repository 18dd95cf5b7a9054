"""WHEN things are done: flows, settings, the command line.

Belongs here: orchestration and everything that faces a person.  Does not belong here: the work itself
(``tasks``) or the shape and place of the data (``warehouse``).
"""
