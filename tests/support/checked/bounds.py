"""Where a pointer points within its object, and how large that is, as C expressions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pycparser import c_ast
from pycparser.c_generator import CGenerator

from tests.support.checked.sources import Source, Unsupported
from tests.support.checked.types import Array, Pointer, Types, number

AT, BYTES, REPORT = "__at", "__bytes", "report__"
ATOMIC = re.compile(r"atom(?:ic)?_\w+")
# Built-in functions whose last argument is where they write one value.
WRITES_LAST = {"fract", "frexp", "lgamma_r", "modf", "remquo", "sincos"}
_WIDENED = {"+", "-", "*", "/", "%", "<<"}


@dataclass(frozen=True)
class Site:
    """An access in the source: where, and how it is written."""

    file: str
    line: int
    text: str


class Writer(CGenerator):
    """C as it was; pycparser takes OpenCL's vectors ``(T)(a, b)`` for casts of a comma's value."""

    def visit_Cast(self, n):
        if isinstance(n.expr, c_ast.ExprList):
            return f"({self._generate_type(n.to_type, emit_declname=False)})({self.visit(n.expr)})"
        return super().visit_Cast(n)


class Bounds(Writer):
    """Where pointers point, as C: the base of what writes an instrumented program."""

    def __init__(self, source: Source):
        super().__init__()
        self._source, self._types = source, Types()
        self._plain = Writer()
        self.sites: list[Site] = []

    # ---- where and what -------------------------------------------------------------------

    def _refuse(self, node, why: str):
        file, line = self._source.place(node)
        raise Unsupported(f"{file}:{line}: {self._text(node)}: {why}")

    def _text(self, node) -> str:
        return self._plain._visit_expr(node, allow_comma=True)

    def _site(self, node) -> int:
        self.sites.append(Site(*self._source.place(node), self._text(node)))
        return len(self.sites) - 1

    def _pure(self, node) -> bool:
        """Whether evaluating it once more changes nothing."""
        match node:
            case None:
                return True
            case c_ast.Assignment():
                return False
            case c_ast.UnaryOp(op="++" | "--" | "p++" | "p--"):
                return False
            case c_ast.FuncCall():
                name = node.name.name
                if name in self._types.functions:
                    if self._types.functions[name].changes_memory:
                        return False
                elif ATOMIC.fullmatch(name) or name in WRITES_LAST or name.startswith("vstore"):
                    return False
        return all(self._pure(child) for _, child in node.children())

    def _once(self, node):
        if not self._pure(node):
            self._refuse(node, "the checked build needs it twice: give it a statement of its own")
        return node

    # ---- bounds ---------------------------------------------------------------------------

    def _is_pointer(self, e) -> bool:
        return isinstance(self._types.of(e), (Pointer, Array))

    def _element_size(self, e) -> str:
        return f"(long)sizeof(*({self._text(e)}))"

    def _bounds(self, e) -> tuple[str, str]:  # noqa: PLR0911 - one case, one return
        """How many bytes into its object a pointer points, and the object's bytes; as C."""
        kind = self._types.of(e)
        if isinstance(kind, Array):
            return "0L", f"(long)sizeof({self._text(e)})"
        match e:
            case c_ast.ID() if isinstance(kind, Pointer):
                return e.name + AT, e.name + BYTES
            case c_ast.StructRef() if isinstance(kind, Pointer):
                path = self.visit(self._once(e))
                return path + AT, path + BYTES
            case c_ast.BinaryOp(op="+" | "-"):
                pointer, step = (e.left, e.right) if self._is_pointer(e.left) else (e.right, e.left)
                at, size = self._bounds(pointer)
                return f"({at} {e.op} ({self._wide(self._once(step))}) * {self._element_size(pointer)})", size
            case c_ast.Cast():
                if self._is_pointer(e.expr):
                    return self._bounds(e.expr)
            case c_ast.TernaryOp():
                condition = self._parenthesize_unless_simple(self._once(e.cond))
                first, second = self._bounds(e.iftrue), self._bounds(e.iffalse)
                return tuple(f"({condition} ? {a} : {b})" for a, b in zip(first, second, strict=True))
            case c_ast.UnaryOp(op="&"):
                return self._bounds_of_object(e.expr)
        self._refuse(e, "the checked build does not know which object this points into")

    def _bounds_of_object(self, e) -> tuple[str, str]:
        """The same of a pointer to what ``e`` designates."""
        match e:
            case c_ast.ArrayRef() if self._is_pointer(e.name):
                at, size = self._bounds(e.name)
                return (
                    f"({at} + ({self._wide(self._once(e.subscript))}) * {self._element_size(e.name)})",
                    size,
                )
            case c_ast.UnaryOp(op="*"):
                return self._bounds(e.expr)
            case c_ast.ID() | c_ast.StructRef():
                return "0L", f"(long)sizeof({self._text(e)})"
        self._refuse(e, "the checked build does not know this object's size")

    # ---- indices --------------------------------------------------------------------------

    def _wide(self, e) -> str:
        """An index in 64 bits, its parts in the types they have."""
        if not number(self._types.of(e)) or isinstance(e, (c_ast.ID, c_ast.Constant)) or not self._pure(e):
            return f"(long)({self._visit_expr(e, allow_comma=True)})"
        wide = self._widened(e)
        return f"checked_int({wide}, {self._site(e)}, {REPORT})" if isinstance(e, c_ast.BinaryOp) else wide

    def _widened(self, e) -> str:
        match e:
            case c_ast.BinaryOp() if e.op in _WIDENED:
                return f"({self._widened(e.left)} {e.op} {self._widened(e.right)})"
            case c_ast.UnaryOp(op="-"):
                return f"(-{self._widened(e.expr)})"
        return f"(long)({self._visit_expr(e, allow_comma=True)})"

    def _check(
        self, node, index: str, bounds: tuple[str, str], step: str, size: str, name: str = "checked"
    ) -> str:
        return f"{name}({index}, {bounds[0]}, {bounds[1]}, {step}, {size}, {self._site(node)}, {REPORT})"

    def _checked_at(self, node, pointer, index: str) -> str:
        """The index of an element that is accessed through a pointer."""
        step = self._element_size(pointer)
        return self._check(node, index, self._bounds(self._once(pointer)), step, step)
