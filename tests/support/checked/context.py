"""A device context whose kernels test every access to memory."""

from __future__ import annotations

import numpy as np

from mandel import kernels
from mandel.device.context import DeviceContext
from tests.support.checked.instrument import OVERFLOW, REPORT_WORDS, Instrumented, instrumented
from tests.support.checked.sources import parsed

_UNWRITTEN = np.uint8(0xA5)  # what new buffers hold: whoever reads it gives other results than usual


class OutOfBounds(AssertionError):
    """A kernel left the memory that is its own; says where, in the kernel's source."""


class CheckedContext(DeviceContext):
    """A ``DeviceContext`` that runs checked builds.

    Buffers have exactly the size that was asked for. After each launch the first access that left its
    object is raised as ``OutOfBounds``. Costs: one launch at a time, several times the work.
    """

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._checked: dict[tuple, tuple[object, Instrumented]] = {}
        flags = self.cl.mem_flags
        self._report = self.cl.Buffer(self.context, flags.READ_WRITE, 8 * REPORT_WORDS)
        self._nothing = self.cl.Buffer(self.context, flags.READ_WRITE, 256)

    def kernel(self, file: str, name: str, defines: tuple[tuple[str, object], ...] = ()):
        key = file, name, defines
        if key not in self._checked:
            self._checked[key] = self.checked(kernels.source(file), kernels.options(defines), file, name)
        return self.launcher(*self._checked[key], name)

    def checked(self, text: str, options=(), name: str = "a program", kernel: str | None = None):
        """The program of ``text`` with tests, and what its reports mean.

        Args:
            kernel: builds this one only: compilers take several times as long for checked kernels.

        Raises:
            Unsupported: what an access may reach is not known.
            DeviceError: BUILD_FAILED.
        """
        made = instrumented(parsed(text, list(options), name), kernel)
        return self.build(made.text, (), name), made

    def launcher(self, program, made: Instrumented, name: str):
        """Launches a checked kernel as ``DeviceContext.kernel`` gives it; waits."""
        kernel, pointers = self.cl.Kernel(program, name), made.kernels[name]

        def launch(queue, size, group, *arguments):
            assert len(arguments) == len(pointers), f"{name} takes {len(pointers)} arguments"
            given = []
            for argument, is_pointer in zip(arguments, pointers, strict=True):
                given.append(self._nothing if argument is None else argument)
                if is_pointer:
                    given.append(np.int64(self._bytes(argument)))
            self.cl.enqueue_fill_buffer(queue, self._report, np.uint32(0), 0, 8 * REPORT_WORDS)
            event = kernel(queue, size, group, *given, self._report)
            report = self.download(self._report, np.empty(REPORT_WORDS, np.int64))
            if report[0]:
                raise OutOfBounds(_words(made, name, size, *map(int, report[:7])))
            return event

        return launch

    def _bytes(self, argument) -> int:
        if argument is None:
            return 0
        if isinstance(argument, self.cl.SVM):
            return argument.mem.nbytes
        return argument.size

    def empty(self, nbytes: int):
        """A device buffer of ``nbytes``, no more; it holds what no kernel would write."""
        nbytes = max(int(nbytes), 1)
        buffer = self.cl.Buffer(self.context, self.cl.mem_flags.READ_WRITE, nbytes)
        self.cl.enqueue_fill_buffer(self.queue, buffer, _UNWRITTEN, 0, nbytes)
        return buffer


def _words(made: Instrumented, kernel: str, launched, failed, site, kind, index, at, size, touched) -> str:  # noqa: PLR0913
    where = made.sites[site]
    text = f"{where.file}:{where.line}: {where.text}: "
    if kind == OVERFLOW:
        text += f"{index} does not fit an int"
    elif size == 0:
        text += "there is no memory: a null pointer"
    else:
        text += f"index {index} of a pointer {at} bytes into {size}, {touched} bytes: beyond its object"
    return f"{text} (kernel {kernel}, global size {tuple(launched)}, {failed} such accesses)"
