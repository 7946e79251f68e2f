"""Everything under DB/: names, index, atomic writes, recovery.

A name under DB/ is absent or complete. Files come before rows: a file counts
only once its digest is committed to the index.
"""
