"""The conversation between client and service, as bytes in and events out.

Nothing here opens a socket or a file; everything is standard library, so that
a client needs nothing else. docs/protocol.md describes what travels.
"""
