"""What is promised of the text core, measured: one module a topic, each with a function ``rows``.

Belongs here: measuring and judging.  Does not belong here: the text core itself (``tasks``), and tests that every
change has to pass (``tests``).
"""
