"""What may be asked: the payload, its fields, their checks. ``fields`` and ``decimal_text`` need the
standard library alone.
"""
