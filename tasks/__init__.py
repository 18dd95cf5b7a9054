"""WHAT is done: discover, plan, read, normalise, detect, segment, write.

Belongs here: the work itself, callable without an orchestrator.  Does not belong here: schedules, the
command line and settings (``flows``), or the shape and place of the data (``warehouse``).
"""
