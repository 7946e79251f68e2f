"""Everything under DB/: names, index, atomic writes, recovery.

A file under DB/ is absent or complete under its final name. Files come before
rows: a file counts only once its digest is committed to the index.
"""
