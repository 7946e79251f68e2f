"""The codes by which a request is turned down, and what each means.

Names are stable: scripts rely on them. Codes of jobs that fail later come from
whoever failed (rendering, encoding, storing) and are not listed here.
"""

from __future__ import annotations

# The request is at fault; sending it again will not help.
REFUSED = {
    "TRUNCATED": "the connection was closed in the middle of the object",
    "TRAILING_DATA": "something follows the object",
    "TOO_LARGE": "the request has more bytes, or more brackets, commas and quotes, than allowed",
    "BAD_UTF8": "not UTF-8, or a byte order mark",
    "BAD_JSON": "not JSON, or a string that holds NUL or half a surrogate pair",
    "TOO_DEEP": "brackets nest too deep",
    "DUPLICATE_KEY": "a key is given twice",
    "NOT_OBJECT": "JSON, but no object",
    "UNKNOWN_FIELD": "no such field; the message names the nearest",
    "MISSING_FIELD": "the operation needs a field that is not there",
    "WRONG_TYPE": "a value of another type than the field's",
    "BAD_NUMBER": "a string that is no decimal number",
    "NOT_FINITE": "NaN, Infinity or a number beyond 1e308",
    "OUT_OF_RANGE": "beyond the limits that the error part gives",
    "UNKNOWN_VALUE": "not on the list that the error part gives",
    "CONFLICT": "two fields contradict each other",
    "TOO_DEEP_ZOOM": "deeper than the service allows",
    "JOB_TOO_BIG": "each field is legal, all together are too much work",
    "NOT_FOUND": "no such job",
    "AMBIGUOUS": "several jobs begin with these digits",
    "NOT_ENDED": "the job has not ended, and is not deleted before",
    "IN_USE": "another job is made from this one's strips",
    "TOO_MANY_PINS": "pinned jobs take all that they may",
    "NO_STRIPS": "the job keeps no strips to recolour",
    "UNAUTHORIZED": "the service wants its token",
}

# The service cannot take the request now; sending it again later may help.
UNAVAILABLE = {
    "TIMEOUT": "the request did not arrive whole in time",
    "BUSY": "too many connections or unfinished jobs",
    "NO_ESTIMATE": "the renderer has not told what a payload would take",
    "STOPPING": "the service is shutting down",
}
