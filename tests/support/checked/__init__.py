"""A checked build of the kernels: no access leaves the object that its pointer was made from.

``sources`` preprocesses and parses OpenCL C, ``types`` and ``bounds`` say what an access may reach,
``instrument`` adds a test to each, ``context`` runs the result in place of a ``DeviceContext``. docs/design.md says
how and why.
"""

from tests.support.checked.context import CheckedContext, OutOfBounds
from tests.support.checked.sources import Unsupported

__all__ = ["CheckedContext", "OutOfBounds", "Unsupported"]
