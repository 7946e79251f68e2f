"""A stand-in for ``mandel.device.context.DeviceContext`` that runs kernels built by compiler.py.

Kernels run at once, one work item after the other; those of a group from barrier to barrier.
Buffers are of exactly the bytes asked for, from the allocator of AddressSanitizer, and hold a pattern
until they are written.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from mandel.device.choose import Device
from tests.sanitize.compiler import KERNELS, Library

# OpenCL gives buffers the alignment of its largest type.
_ALIGNMENT = 128
_TYPES = {
    "int": np.int32,
    "uint": np.uint32,
    "long": np.int64,
    "ulong": np.uint64,
    "float": np.float32,
    "double": np.float64,
}
_libc = ctypes.CDLL(None)
_libc.free.argtypes = [ctypes.c_void_p]


class Buffer:
    """``size`` bytes of memory at ``address``, freed when dropped."""

    def __init__(self, size: int):
        self.size = size
        pointer = ctypes.c_void_p()
        if _libc.posix_memalign(ctypes.byref(pointer), ctypes.c_size_t(_ALIGNMENT), ctypes.c_size_t(size)):
            raise MemoryError(f"no memory for {size} bytes")
        self.address = pointer.value

    def __del__(self):
        _libc.free(self.address)

    def bytes(self) -> np.ndarray:
        """A view of all of it."""
        view = np.frombuffer((ctypes.c_uint8 * self.size).from_address(self.address), np.uint8)
        view.flags.writeable = True
        return view


class HostMemory:
    """An array of the host that kernels write to."""

    def __init__(self, array: np.ndarray):
        self.array, self.address, self.size = array, array.ctypes.data, array.nbytes


class _Event:
    def wait(self) -> None:
        """All is over at once."""


class _Queue:
    def finish(self) -> None:
        """All is over at once."""


class _OpenCl(SimpleNamespace):
    """What of pyopencl the renderers use."""

    class Error(Exception):
        pass

    mem_flags = SimpleNamespace(READ_ONLY=1, ALLOC_HOST_PTR=2)
    map_flags = SimpleNamespace(WRITE=1, WRITE_INVALIDATE_REGION=2)

    @staticmethod
    def Buffer(context, flags, size):
        return Buffer(size)

    @staticmethod
    def enqueue_marker(queue) -> _Event:
        return _Event()

    @staticmethod
    def enqueue_fill_buffer(queue, buffer, pattern, offset, size) -> _Event:
        assert offset + size <= buffer.size
        buffer.bytes()[offset : offset + size].view(pattern.dtype)[:] = pattern
        return _Event()

    @staticmethod
    def enqueue_copy(
        queue, to, source, src_offset=0, dst_offset=0, byte_count=None, is_blocking=True
    ) -> _Event:
        read, written = (_flat(a) for a in (source, to))
        count = min(read.size - src_offset, written.size - dst_offset) if byte_count is None else byte_count
        if byte_count is None and isinstance(to, np.ndarray):
            assert read.size >= written.size, "a buffer is shorter than the array that it is copied to"
        assert src_offset + count <= read.size and dst_offset + count <= written.size
        written[dst_offset : dst_offset + count] = read[src_offset : src_offset + count]
        return _Event()

    @staticmethod
    def enqueue_map_buffer(queue, buffer, flags, offset, shape, dtype):
        count = prod(shape) * np.dtype(dtype).itemsize
        assert offset + count <= buffer.size
        mapped = buffer.bytes()[offset : offset + count].view(dtype).reshape(shape)
        return _Mapped(mapped), _Event()


class _Mapped:
    """An array whose ``base`` is a context that ends the mapping."""

    def __init__(self, array: np.ndarray):
        self.base, self._array = self, array

    def __getitem__(self, where) -> np.ndarray:
        return self._array[where]

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        pass


def _flat(memory) -> np.ndarray:
    return memory.bytes() if isinstance(memory, Buffer) else memory.reshape(-1).view(np.uint8)


class SanitizedContext:
    """See the module.

    Args:
        cores: that the device claims to have: the direct engine cuts tiles by it.
        kind: ``"cpu"`` or ``"gpu"``: which kernels and tiles the renderers take.
        lanes: doubles in a vector register: which variant is the default.
        folder: where the .cl files are.
        any_address: whether kernels write to the host's memory, as those of a CPU's runtime may.
        quick: kernels are optimised, for much iterating.
    """

    cl = _OpenCl()
    context = None

    def __init__(
        self,
        cores: int = 2,
        kind: str = "cpu",
        lanes: int = 8,
        folder: Path = KERNELS,
        any_address: bool = True,
        quick: bool = False,
    ):
        self.device = Device(
            0, "clang's sanitizers", "sanitizers", "1", "OpenCL 1.2", kind, cores, "", 2**30, "", None
        )
        self.cores, self.handle = cores, SimpleNamespace(native_vector_width_double=lanes)
        self.queue = _Queue()
        self._folder, self._any_address, self._quick = folder, any_address, quick
        self._libraries: dict = {}
        self.launched: dict[str, int] = {}

    def kernel(self, file: str, name: str, defines: tuple[tuple[str, object], ...] = ()):
        key = file, tuple(defines)
        if key not in self._libraries:
            self._libraries[key] = Library(self._folder / file, tuple(defines), self._quick)
        library = self._libraries[key]
        parameters = library.kernels[name].parameters

        def launch(queue, size, group, *arguments, first=(0, 0, 0)):
            sides = [*size, 1, 1][:3]
            if group is not None:
                assert all(side % part == 0 for side, part in zip(size, group, strict=True)), (size, group)
            assert len(arguments) == len(parameters), f"{name} takes {parameters}"
            slots = (ctypes.c_uint64 * len(arguments))()
            for at, (kind, argument) in enumerate(zip(parameters, arguments, strict=True)):
                _put(slots, at, kind, argument)
            self.launched[name] = self.launched.get(name, 0) + 1
            numbers = ctypes.c_uint64 * 3
            library.launch(
                name, slots, numbers(*first), numbers(*sides), numbers(*[*(group or (1,)), 1, 1][:3])
            )
            return _Event()

        return launch

    def empty(self, nbytes: int) -> Buffer:
        return Buffer(max(int(nbytes), 1))

    def upload(self, array: np.ndarray) -> Buffer:
        assert array.nbytes, "OpenCL has no empty buffers"
        buffer = Buffer(array.nbytes)
        buffer.bytes()[:] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        return buffer

    def target(self, out: np.ndarray) -> HostMemory | None:
        return HostMemory(out) if self._any_address and self.device.kind == "cpu" else None

    @contextmanager
    def finished_on_error(self):
        yield

    def finish_queue(self) -> None:
        pass

    def download(self, buffer: Buffer, out: np.ndarray) -> np.ndarray:
        self.cl.enqueue_copy(self.queue, out, buffer)
        return out

    def wait(self, event: _Event) -> None:
        event.wait()


def _put(slots: Sequence[int], at: int, kind: str, argument) -> None:
    """An argument into its slot of 8 bytes; its type must be the kernel's."""
    if kind == "*":
        slots[at] = argument.address if argument is not None else 0
        return
    wanted = _TYPES[kind]
    assert isinstance(argument, wanted), f"argument {at} is {type(argument)}, the kernel takes {kind}"
    number = argument.tobytes()
    ctypes.memmove(ctypes.addressof(slots) + 8 * at, number, len(number))
