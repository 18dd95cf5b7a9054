"""The pure text core: bytes become clean, dated, segmented text, with the evidence of every change.

Belongs here: functions of their arguments alone, total on every input.  Does not belong here: files,
clocks, settings, Prefect or the database; reading formats is ``tasks.readers``.
"""
