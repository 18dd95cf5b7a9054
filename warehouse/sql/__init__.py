"""SQL as files: one statement a file, the file's name is the object's name.

Belongs here: views (a header states question, grain and an example).  Does not belong here: DDL of tables, which
``warehouse.ddl`` makes from the Arrow schema.
"""
