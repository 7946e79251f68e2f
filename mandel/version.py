"""What this program is called, and which pictures it makes."""

VERSION = "0.2.0"

# Part of every job id: raise it whenever the same payload would give other
# pixels, so that stored videos of an older engine are never served as new ones.
ENGINE = 5
