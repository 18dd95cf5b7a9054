"""Where sentences end: the library's word for it, our corrections, and a compiled look that knows most of both.

Belongs here: ends of sentences within a block.  Does not belong here: rows of segments (``tasks.text.segments``), the
lists of abbreviations (``tasks.text.rules``).

``boundaries`` asks sentencex and then our rules; that is what a sentence is.  Both decide by what touches a full stop:
the word before it, the word behind it, and the quotes and brackets around it.  So ``kernel`` finds the full stops and
their words, ``words`` asks the library and the rules about each word once, and only where two words do not settle it
is the library asked about the sentence.  Both ways give the same ends.
"""
