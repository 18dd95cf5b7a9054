"""WHERE things are and what SHAPE they have: schema, ledger, parts, snapshots, queries.

Belongs here: every table, file and path that outlives a run.  Does not belong here: what is done to a
text (``tasks``) or when it is done (``flows``).  Nothing in this package imports either of them.
"""
