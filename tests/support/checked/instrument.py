"""Adds a test of its bounds to every access to memory.

Every pointer ``p`` gets two companions: ``p__at``, how many bytes into its object it points, and
``p__bytes``, how many bytes the object has. The object is the array, row, variable or buffer that the
pointer was made from. An access that would leave it is reported and goes to the object's first element
instead (a store of a vector is left out), so that the run goes on.

Indices are computed in 64 bits: what overflows in the kernel's int is out of bounds here, or does not
fit an int, which is reported too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pycparser import c_ast

from tests.support.checked.bounds import AT, ATOMIC, BYTES, REPORT, WRITES_LAST, Bounds, Site, Writer
from tests.support.checked.sources import Source
from tests.support.checked.types import Array, Function, Plain, Pointer, Struct

# Words of a report: how many failed; of the first: site, kind, index, offset, object's bytes, bytes touched.
REPORT_WORDS = 8
OVERFLOW = 2  # the other kind, 1: beyond its object
PRELUDE = """
void checked_fail(int site, int kind, long index, long at, long bytes, long size, __global long *report)
{
    if (atomic_inc((volatile __global int *)report) != 0) return;
    report[1] = site; report[2] = kind; report[3] = index; report[4] = at; report[5] = bytes; report[6] = size;
}
#define CHECKED_NONE (-0x7fffffffffffffffL)
inline long checked(long index, long at, long bytes, long step, long size, int site, __global long *report)
{
    const long from = at + index * step;
    if (from >= 0 && from + size <= bytes) return index;
    checked_fail(site, 1, index, at, bytes, size, report);
    return -at / step;
}
inline long checked_store(long index, long at, long bytes, long step, long size, int site, __global long *report)
{
    const long from = at + index * step;
    if (from >= 0 && from + size <= bytes) return index;
    checked_fail(site, 1, index, at, bytes, size, report);
    return CHECKED_NONE;
}
inline long checked_int(long value, int site, __global long *report)
{
    if (value == (int)value) return value;
    checked_fail(site, 2, value, 0, 0, 0, report);
    return value;
}
"""

_VECTOR_ACCESS = re.compile(r"(vload|vstore)(2|3|4|8|16)")


@dataclass(frozen=True)
class Instrumented:
    """A program that tests its accesses.

    Attributes:
        text: OpenCL C. Kernels take, after each pointer, its bytes (long), and last the report.
        sites: what the numbers in reports mean.
        kernels: of each kernel, whether its parameters are pointers.
    """

    text: str
    sites: list[Site]
    kernels: dict[str, list[bool]]


def instrumented(source: Source, only: str | None = None) -> Instrumented:
    """The program with tests.

    Args:
        only: leaves out all kernels but this one.

    Raises:
        Unsupported: an access whose bounds are not known, in words.
    """
    writer = _Instrumenter(source)
    if only is not None:
        source.tree.ext = [
            node
            for node in source.tree.ext
            if not isinstance(node, c_ast.FuncDef) or not _is_kernel(node.decl) or node.decl.name == only
        ]
    text = PRELUDE + writer.visit(source.tree)
    return Instrumented(text, writer.sites, writer.kernels)


def _is_kernel(decl) -> bool:
    return any(word.strip("_") == "kernel" for word in decl.funcspec)


def _number_decl(name: str, value: str | None = None):
    kind = c_ast.TypeDecl(name, [], None, c_ast.IdentifierType(["long"]))
    init = c_ast.Constant("int", value) if value else None
    return c_ast.Decl(name, [], [], [], [], kind, init, None)


def _report_decl():
    kind = c_ast.TypeDecl(REPORT, ["__global"], None, c_ast.IdentifierType(["long"]))
    return c_ast.Decl(REPORT, [], [], [], [], c_ast.PtrDecl([], kind), None, None)


class _Instrumenter(Bounds):
    def __init__(self, source: Source):
        super().__init__(source)
        self.kernels: dict[str, list[bool]] = {}
        self._temporaries: list[str] = []

    # ---- accesses -------------------------------------------------------------------------

    def visit_ArrayRef(self, n):
        name = self._parenthesize_unless_simple(n.name)
        if self._is_pointer(n.name):
            return f"{name}[{self._checked_at(n, n.name, self._wide(n.subscript))}]"
        kind = self._types.of(n.name)
        if isinstance(kind, Plain) and kind.lanes:
            bounds = "0L", f"{kind.lanes}L"
            return f"{name}[{self._check(n, self._wide(n.subscript), bounds, '1L', '1L')}]"
        self._refuse(n, "the checked build does not know what this is an element of")

    def visit_StructRef(self, n):
        if n.type == "->":
            pointer = self._parenthesize_unless_simple(n.name)
            return f"{pointer}[{self._checked_at(n, n.name, '0L')}].{n.field.name}"
        return super().visit_StructRef(n)

    def visit_UnaryOp(self, n):
        if n.op == "*":
            pointer = self._parenthesize_unless_simple(n.expr)
            return f"{pointer}[{self._checked_at(n, n.expr, '0L')}]"
        if n.op == "sizeof":
            return self._plain.visit(n)
        if n.op == "&":
            return self._address(n)
        if n.op in ("++", "--", "p++", "p--") and self._is_pointer(n.expr):
            return f"({self.visit(n.expr)}{AT} {n.op[-1]}= {self._element_size(n.expr)}, {super().visit_UnaryOp(n)})"
        return super().visit_UnaryOp(n)

    def _address(self, n) -> str:
        e = n.expr
        if isinstance(e, c_ast.ArrayRef) and self._is_pointer(e.name):  # may point past the end
            return f"({self._parenthesize_unless_simple(e.name)} + ({self._wide(self._once(e.subscript))}))"
        if isinstance(e, c_ast.UnaryOp) and e.op == "*":
            return f"({self.visit(e.expr)})"
        return super().visit_UnaryOp(n)

    # ---- calls ----------------------------------------------------------------------------

    def visit_FuncCall(self, n):
        if not isinstance(n.name, c_ast.ID):
            self._refuse(n, "functions are called by name")
        name, arguments = n.name.name, n.args.exprs if n.args else []
        if name in self._types.functions:
            return self._call(n, name, arguments)
        if match := _VECTOR_ACCESS.fullmatch(name):
            return self._vector_access(n, match.group(1), int(match.group(2)), arguments)
        shown = [self._visit_expr(argument) for argument in arguments]
        if ATOMIC.fullmatch(name):
            shown[0] = f"{shown[0]} + {self._checked_at(n, arguments[0], '0L')}"
        elif name in WRITES_LAST:
            shown[-1] = f"{shown[-1]} + {self._checked_at(n, arguments[-1], '0L')}"
        elif any(self._is_pointer(argument) for argument in arguments):
            self._refuse(n, f"the checked build does not know what {name} does with memory")
        return f"{name}({', '.join(shown)})"

    def _call(self, n, name: str, arguments) -> str:
        shown = []
        for argument, (_, kind, _) in zip(arguments, self._types.functions[name].parameters, strict=True):
            shown.append(self._visit_expr(argument))
            if isinstance(kind, Pointer):
                shown += self._bounds(self._once(argument))
        return f"{name}({', '.join([*shown, REPORT])})"

    def _vector_access(self, n, what: str, lanes: int, arguments) -> str:
        index, pointer = arguments[-2:]
        step = self._element_size(pointer)
        bounds = self._bounds(self._once(pointer))
        size, index = f"{lanes} * {step}", f"{lanes} * {self._wide(index)}"
        shown = self._parenthesize_unless_simple(pointer)
        if what == "vload":
            return f"vload{lanes}(0, {shown} + {self._check(n, index, bounds, step, size)})"
        name = f"checked{len(self.sites)}__"
        self._temporaries.append(name)
        check = self._check(n, index, bounds, step, size, "checked_store")
        store = f"vstore{lanes}({self._visit_expr(arguments[0])}, 0, {shown} + {name})"
        return f"(({name} = {check}) == CHECKED_NONE ? (void)0 : {store})"

    # ---- declarations ---------------------------------------------------------------------

    def visit_Assignment(self, n):
        kind = self._types.of(n.lvalue)
        if not isinstance(kind, Pointer):
            return super().visit_Assignment(n)
        target = self.visit(self._once(n.lvalue))
        if n.op in ("+=", "-="):
            step = f"({self._wide(self._once(n.rvalue))}) * {self._element_size(n.lvalue)}"
            return f"({target}{AT} {n.op} {step}, {super().visit_Assignment(n)})"
        own = self._text(n.lvalue)
        if any(own == self._text(e) for e in _accessed(n.rvalue)):
            self._refuse(n, "a pointer is set from what it points to: use another one")
        at, size = self._bounds(self._once(n.rvalue))
        return f"({target}{AT} = {at}, {target}{BYTES} = {size}, {target} = {self._visit_expr(n.rvalue)})"

    def visit_Decl(self, n, no_type=False):
        if isinstance(n.type, c_ast.FuncDecl):
            return self._prototype(n)
        if isinstance(n.type, (c_ast.Struct, c_ast.Union, c_ast.Enum)):
            self._types.convert(n.type)
            self._companions_of_members(n.type)
            return super().visit_Decl(n, no_type)
        kind = self._types.convert(n.type)
        self._known(n, kind)
        if n.init is not None and isinstance(n.init, c_ast.InitList):
            n.init = self._initial(kind, n.init)
        text = super().visit_Decl(n, no_type)
        self._types.declare(n.name, kind)
        return text

    def _known(self, n, kind) -> None:
        """Refuses what has no companions."""
        inner = kind
        while isinstance(inner, Array):
            inner = inner.of
        if isinstance(kind, Pointer):
            inner = kind.to
        if isinstance(inner, Pointer):
            self._refuse(n, "the checked build knows no pointers to pointers, nor arrays of pointers")

    def _initial(self, kind, init):
        """An initialiser with the companions of the members that are pointers."""
        if isinstance(kind, Array):
            return c_ast.InitList(
                [self._initial(kind.of, e) if isinstance(e, c_ast.InitList) else e for e in init.exprs]
            )
        if not isinstance(kind, Struct):
            return init
        exprs, unnamed = [], iter(kind.members)
        for expr in init.exprs:
            named = isinstance(expr, c_ast.NamedInitializer)
            if named and len(expr.name) > 1:
                self._refuse(init, "the checked build knows initialisers of members only")
            name, value = (expr.name[0].name, expr.expr) if named else (next(unnamed), expr)
            member = kind.members[name]
            parts = [self._initial(member, value) if isinstance(value, c_ast.InitList) else value]
            names = [name]
            if isinstance(member, Pointer):
                parts += [c_ast.ID(part) for part in self._bounds(self._once(value))]
                names += [name + AT, name + BYTES]
            for own, part in zip(names, parts, strict=True):
                exprs.append(c_ast.NamedInitializer([c_ast.ID(own)], part) if named else part)
        return c_ast.InitList(exprs)

    def _companions_of_members(self, n) -> None:
        if n.decls is None:
            return
        decls = []
        for member in n.decls:
            kind = self._types.convert(member.type)
            self._known(member, kind)
            decls.append(member)
            if isinstance(kind, Pointer):
                if isinstance(n, c_ast.Union):
                    self._refuse(member, "the checked build knows no pointers in unions")
                decls += [_number_decl(member.name + AT), _number_decl(member.name + BYTES)]
        n.decls = decls

    def visit_Struct(self, n):
        return self._plain.visit(n)

    def visit_Union(self, n):
        return self._plain.visit(n)

    def visit_Typedef(self, n):
        self._types.typedefs[n.name] = self._types.convert(n.type)
        inner = n.type.type
        if isinstance(inner, (c_ast.Struct, c_ast.Union)):
            self._companions_of_members(inner)
        return super().visit_Typedef(n)

    def _function(self, decl) -> list:
        """Makes a function known; its parameters with companions."""
        parameters, shown = [], []
        for parameter in decl.type.args.params if decl.type.args else []:
            if isinstance(parameter, c_ast.Typename) or parameter.name is None:
                continue  # void
            kind = self._types.parameter(parameter)
            self._known(parameter, kind)
            pointee = parameter.type.type
            while not isinstance(pointee, c_ast.TypeDecl) and isinstance(kind, Pointer):
                pointee = pointee.type
            parameters.append((parameter.name, kind, isinstance(kind, Pointer) and "const" in pointee.quals))
            shown.append(parameter)
            if isinstance(kind, Pointer):
                shown += [] if _is_kernel(decl) else [_number_decl(parameter.name + AT)]
                shown += [_number_decl(parameter.name + BYTES)]
        result = self._types.convert(decl.type.type)
        if isinstance(result, Pointer):
            self._refuse(decl, "the checked build knows no functions that return pointers")
        self._types.functions[decl.name] = Function(result, tuple(parameters))
        return [*shown, _report_decl()]

    def _prototype(self, n) -> str:
        n.type.args = c_ast.ParamList(self._function(n))
        return Writer().visit(n)

    def visit_FuncDef(self, n):
        decl = n.decl
        shown = self._function(decl)
        parameters = self._types.functions[decl.name].parameters
        starts = []
        if _is_kernel(decl):
            self.kernels[decl.name] = [isinstance(kind, Pointer) for _, kind, _ in parameters]
            starts = [f"long {name}{AT} = 0;" for name, kind, _ in parameters if isinstance(kind, Pointer)]
        self._types.enter()
        for name, kind, _ in parameters:
            self._types.declare(name, kind)
        self._temporaries = []
        body = self.visit(n.body)
        self._types.leave()
        decl.type.args = c_ast.ParamList(shown)
        head = self._plain.visit(decl)
        if decl.name in self._source.attributes:  # after the word kernel, where both may stand
            head = head.replace(
                decl.funcspec[0], f"{decl.funcspec[0]} {self._source.attributes[decl.name]}", 1
            )
        starts += [f"long {name};" for name in self._temporaries]
        return f"{head}\n{body.replace('{', '{ ' + ' '.join(starts), 1)}\n"

    # ---- scopes ---------------------------------------------------------------------------

    def visit_Compound(self, n):
        self._types.enter()
        text = super().visit_Compound(n)
        self._types.leave()
        return text

    def visit_For(self, n):
        self._types.enter()
        if isinstance(n.init, c_ast.DeclList) and any(
            isinstance(d.type, c_ast.PtrDecl) for d in n.init.decls
        ):
            self._refuse(n, "declare the pointer before the loop")
        text = super().visit_For(n)
        self._types.leave()
        return text

    def _generate_stmt(self, n, add_indent=False):
        text = super()._generate_stmt(n, add_indent)
        if isinstance(n, c_ast.Decl) and isinstance(n.type, c_ast.PtrDecl):
            at, size = self._bounds(self._once(n.init)) if n.init is not None else ("0L", "0L")
            text += f"long {n.name}{AT} = {at}, {n.name}{BYTES} = {size};\n"
        return text


def _accessed(node):
    """Pointers through which an expression reads."""
    match node:
        case c_ast.ArrayRef():
            yield node.name
        case c_ast.UnaryOp(op="*"):
            yield node.expr
        case c_ast.StructRef(type="->"):
            yield node.name
        case c_ast.FuncCall():
            yield from node.args.exprs if node.args else []
    for _, child in node.children():
        yield from _accessed(child)
