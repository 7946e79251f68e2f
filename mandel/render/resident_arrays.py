"""Keeps strips on a device, because many frames are made from the same ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

import numpy as np

from mandel.device.context import Buffer, DeviceContext


class ResidentArrays:
    """Copies of the arrays used last, in a device's memory. One object for each thread.

    Args:
        most_bytes: the most that all copies take; a single larger array is kept all the same.
    """

    def __init__(self, ctx: DeviceContext, most_bytes: int):
        self._ctx = ctx
        self._most = most_bytes
        self._copies: OrderedDict[Hashable, Buffer] = OrderedDict()
        self._bytes = 0

    def copy_of(self, key: Hashable, array: np.ndarray) -> Buffer:
        """The device buffer that holds ``array``: kept under ``key`` if it was copied before, else a new copy.

        The driver frees copies that are dropped once the queue no longer uses them.
        """
        if key in self._copies:
            self._copies.move_to_end(key)
            return self._copies[key]
        self._copies[key] = buffer = self._ctx.upload(array)
        self._bytes += buffer.size
        while self._bytes > self._most and len(self._copies) > 1:
            self._bytes -= self._copies.popitem(last=False)[1].size
        return buffer
