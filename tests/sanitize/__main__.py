"""``make sanitize``: the tests of this folder, or, without clang, one sentence of what to install."""

import os
import sys

import pytest

from tests.sanitize.compiler import HERE, missing

if __name__ == "__main__":
    if said := missing():
        required = os.environ.get("SANITIZE_REQUIRED", "0") not in ("", "0")
        print(f"{'failed' if required else 'skipped'}: {said}", file=sys.stderr)
        sys.exit(1 if required else 0)
    os.environ.setdefault("SANITIZE", "1")
    sys.exit(pytest.main([str(HERE), "-rs", *sys.argv[1:]]))
