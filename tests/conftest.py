"""For all tests: signals as a person at a terminal has them."""

import signal

# A shell starts what runs in its background with SIGINT ignored, and programs inherit that: the ones
# that tests interrupt would not notice.
signal.signal(signal.SIGINT, signal.default_int_handler)
