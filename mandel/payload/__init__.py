"""What may be asked: the payload, its fields, their checks. Of these modules the client loads ``fields``, ``checks``,
``decimal_text`` and ``job_id``, which need the standard library alone.
"""
