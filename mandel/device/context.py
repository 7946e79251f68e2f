"""A device made ready for work: context, queue, programs, kernels, buffers.

One ``DeviceContext`` lives as long as its process. It is made lazily, after
any fork, and holds every program it has built.
"""

from __future__ import annotations

import tempfile
import threading
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

import numpy as np

from mandel import kernels
from mandel.device import program_cache
from mandel.device.choose import Device, choose
from mandel.device.runtime import opencl
from mandel.errors import DeviceError

if TYPE_CHECKING:  # importing it needs care: see runtime.py
    import pyopencl
    from pyopencl.tools import PooledBuffer
    from pyopencl.typing import KernelArg

# Memory of the device; memory that kernels write to, the device's or an array of the host (``DeviceContext.target``);
# what a kernel takes.
Buffer: TypeAlias = "pyopencl.Buffer | PooledBuffer"
Target: TypeAlias = "Buffer | pyopencl.SVM[np.ndarray]"
Argument: TypeAlias = "KernelArg | Target"
Event: TypeAlias = "pyopencl.Event"


def _first_error(log: str) -> str:
    """The line of a compiler's log that says what was wrong first."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else "no reason given")


# Most that the pool keeps of buffers nobody uses; a 4K frame with distance and slope takes 310 MB of a GPU.
KEPT_BYTES, GPU_KEPT_BYTES = 256 * 2**20, 384 * 2**20
_SMALL_BYTES = 1 << 16
# A group of perturb.cl is one warp. Fewer registers for its work items would let more groups run at once, but their
# values would go to memory; with more registers fewer groups run. Measured on an H200 (benchmarks/gpu_rounds.py).
_NVIDIA_OPTIONS = {"perturb.cl": ("-cl-nv-maxrregcount=96",)}


class Launch(Protocol):
    """A kernel that is ready to be launched."""

    def __call__(
        self,
        queue: pyopencl.CommandQueue,
        size: tuple[int, ...],
        group: tuple[int, ...] | None,
        *arguments: Argument,
    ) -> pyopencl.Event:
        """Enqueues it; numbers are numpy's."""


def _launcher(kernel: pyopencl.Kernel) -> Launch:
    """A launcher of ``kernel``. Its first launch tells pyopencl the types of the numbers: setting all of them then
    takes 1 us, otherwise 7 us for each."""
    typed = False

    def launch(
        queue: pyopencl.CommandQueue,
        size: tuple[int, ...],
        group: tuple[int, ...] | None,
        *arguments: Argument,
    ) -> pyopencl.Event:
        nonlocal typed
        if not typed:
            kernel.set_scalar_arg_dtypes([type(a) if isinstance(a, np.generic) else None for a in arguments])
            typed = True
        return kernel(queue, size, group, *cast("tuple[KernelArg, ...]", arguments))

    return launch


class DeviceContext:
    """OpenCL state for one device, or for some cores of a CPU device.

    Args:
        device: what to run on.
        cores: for a CPU device, how many cores to use (a sub-device); None for all.
    """

    def __init__(self, device: Device, cores: int | None = None):
        cl = opencl()
        self.device = device
        self.cores = device.cores
        handle = device.handle
        if cores is not None and device.kind == "cpu" and cores < device.cores:
            count = cast("pyopencl.device_partition_property", cores)  # as pyopencl's types have it
            handle = handle.create_sub_devices([cl.device_partition_property.BY_COUNTS, count])[0]
            self.cores = cores
        self.handle = handle
        self._works_along = device.kind == "cpu" and handle is device.handle
        self.cl = cl
        self._shares_memory = device.kind == "cpu" and self._any_address()
        self.context = cl.Context([handle])
        self.queue = cl.CommandQueue(self.context)
        self._pool = cl.tools.MemoryPool(cl.tools.ImmediateAllocator(self.queue))
        self._kept_bytes = GPU_KEPT_BYTES if device.is_gpu else KEPT_BYTES
        self._programs: dict[tuple[str, kernels.Defines], pyopencl.Program] = {}
        self._uploads: deque[pyopencl.Event] = deque()  # small ones, some of which may be on their way
        self._lock = threading.Lock()
        self._local = threading.local()

    def kernel(self, file: str, name: str, defines: kernels.Defines = ()) -> Launch:
        """Launches the kernel ``name`` of ``file``, built with ``-D`` for each define.

        The result is called with queue, global size, group (or None) and arguments; numbers have numpy's types.

        One kernel object per thread: setting arguments is not thread-safe.
        The compiler must not contract a * b + c by itself, so that devices agree: kernels call fma where they want it.
        """
        own: dict[tuple[str, str, kernels.Defines], Launch] = self._local.__dict__.setdefault("kernels", {})
        key = (file, name, defines)
        if key not in own:
            own[key] = _launcher(self.cl.Kernel(self._program(file, defines), name))
        return own[key]

    def _any_address(self) -> bool:
        """Whether kernels reach all of the host's memory (OpenCL 2.0: fine-grained system SVM)."""
        try:
            able = self.handle.svm_capabilities
        except (self.cl.Error, AttributeError):
            return False
        return bool(able & self.cl.device_svm_capabilities.FINE_GRAIN_SYSTEM)

    def _program(self, file: str, defines: kernels.Defines) -> pyopencl.Program:
        with self._lock:
            if (file, defines) not in self._programs:
                options = kernels.options(defines)
                if "nvidia" in self.device.platform.lower():
                    options += _NVIDIA_OPTIONS.get(file, ())
                self._programs[(file, defines)] = self.build(kernels.source(file), options, file)
            return self._programs[(file, defines)]

    def build(self, text: str, options: Sequence[str] = (), name: str = "a program") -> pyopencl.Program:
        """The program of OpenCL C source ``text``; contraction is off.

        Raises:
            DeviceError: BUILD_FAILED with the compiler's words.
        """
        text, options = "#pragma OPENCL FP_CONTRACT OFF\n" + text, ["-cl-std=CL1.2", *options]
        try:
            with warnings.catch_warnings():  # compilers also talk when all is well
                warnings.simplefilter("ignore", self.cl.CompilerWarning)
                return self._built(text, options)
        except self.cl.Error as error:
            raise DeviceError(
                "BUILD_FAILED", f"{name} does not build on {self.device.name}: {_first_error(str(error))}"
            ) from error

    def _built(self, text: str, options: list[str]) -> pyopencl.Program:
        if self.cl.characterize.has_src_build_cache(self.handle):  # the driver has a cache of its own
            return self.cl.Program(self.context, text).build(options)
        key = program_cache.key(self.device, text, options)
        if (binary := program_cache.load(key)) is not None:
            try:
                return self.cl.Program(self.context, [self.handle], [binary]).build(options)
            except self.cl.Error:
                pass  # another version's, whatever its driver calls itself
        with tempfile.TemporaryDirectory(prefix="mandel-build-") as own:  # in place of pyopencl's cache
            program = self.cl.Program(self.context, text).build(options, cache_dir=own)
        [binary] = program.get_info(self.cl.program_info.BINARIES)
        program_cache.keep(key, binary)
        return program

    def empty(self, nbytes: int) -> PooledBuffer:
        """An uninitialised device buffer of at least ``nbytes``, out of a pool.

        A dropped buffer can be used again at once: the queue is in order, so that earlier commands are over before
        later ones write. The pool saves CPUs the first touch of every page (2 ms for a frame of a million samples), and
        GPUs a synchronous allocation.
        """
        with self._lock:
            if self._pool.managed_bytes - self._pool.active_bytes > self._kept_bytes:
                self._pool.free_held()
            return self._pool.allocate(max(int(nbytes), 1))

    def upload(self, array: np.ndarray) -> Buffer:
        """A device buffer holding a copy of ``array``, which kernels only read.

        A GPU takes small ones out of the pool: every frame has some, and a driver allocates and frees memory only
        between other work.
        """
        if self.device.is_gpu and array.nbytes <= _SMALL_BYTES:
            buffer, own = self.empty(array.nbytes), np.array(array, order="C")
            self._uploads.append(self.cl.enqueue_copy(self.queue, buffer, own, is_blocking=False))
            over = self.cl.command_execution_status.COMPLETE
            while self._uploads and self._uploads[0].command_execution_status == over:
                self._uploads.popleft()  # and with it what it copied from
            return buffer
        flags = self.cl.mem_flags
        return self.cl.Buffer(
            self.context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=np.ascontiguousarray(array)
        )

    def target(self, out: np.ndarray) -> pyopencl.SVM[np.ndarray] | None:
        """``out``, contiguous, as an argument that kernels write to, or None where the device cannot.

        ``out`` must live and stay untouched until the kernel is over. So call ``finish_queue`` before using it, and put
        everything from the launch on into ``finished_on_error``, so that no exception frees ``out`` too early.
        """
        return self.cl.SVM(out) if self._shares_memory else None

    @contextmanager
    def finished_on_error(self) -> Iterator[None]:
        """When an exception leaves the block, waits until all that was enqueued is over."""
        try:
            yield
        except BaseException:
            self.queue.finish()
            raise

    def finish_queue(self) -> None:
        """Returns when all that was enqueued is over."""
        if self._works_along:
            self.queue.finish()
        else:
            self.cl.enqueue_marker(self.queue).wait()

    def download(self, buffer: Target, out: np.ndarray) -> np.ndarray:
        """Copies ``buffer`` into ``out`` (blocking) and returns it."""
        self.wait(self.cl.enqueue_copy(self.queue, out, buffer, is_blocking=False))
        return out

    def wait(self, event: pyopencl.Event) -> None:
        """Returns when ``event`` of the queue is over.

        A CPU runtime lets a thread that waits in ``finish`` work along; in other
        waits, or after a ``flush``, one core stays idle (measured: twice the time
        on two cores). So on a whole CPU the whole queue is waited for; on some
        of its cores a thread that works along would be one too many.
        """
        if self._works_along:
            self.queue.finish()
        else:
            event.wait()


@cache
def device_context(wanted: str = "auto", cores: int | None = None) -> DeviceContext:
    """This process's context for the device that ``wanted`` names; made on first use."""
    return DeviceContext(choose(wanted).device, cores)
