"""What an expression of OpenCL C is, as far as memory is concerned."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pycparser import c_ast

from tests.support.checked.sources import SCALARS, SPACES, Unsupported

_VECTOR = re.compile(rf"({'|'.join(SCALARS)})(2|3|4|8|16)")
_RESULT = re.compile(r"(?:convert|as)_([a-z]+\d*)(?:_sat)?(?:_rt[ezpn])?")
_SIZES = {
    "get_global_id",
    "get_global_size",
    "get_local_id",
    "get_local_size",
    "get_group_id",
    "get_num_groups",
    "get_global_offset",
}
_SPELT = {
    "unsigned": "uint",
    "unsigned int": "uint",
    "unsigned char": "uchar",
    "unsigned short": "ushort",
    "unsigned long": "ulong",
    "signed": "int",
    "long int": "long",
    "_Bool": "bool",
}


@dataclass(frozen=True)
class Plain:
    """A number, a vector of numbers, or void."""

    name: str

    @property
    def lanes(self) -> int:
        """Numbers in it; 0 where it is no vector."""
        match = _VECTOR.fullmatch(self.name)
        return int(match.group(2)) if match else 0

    @property
    def element(self) -> Plain:
        match = _VECTOR.fullmatch(self.name)
        return Plain(match.group(1)) if match else self


@dataclass(eq=False)
class Struct:
    """Members by name, in order."""

    union: bool = False
    members: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Pointer:
    to: object
    space: str


@dataclass(frozen=True)
class Array:
    of: object


@dataclass(frozen=True)
class Function:
    result: object
    parameters: tuple[tuple[str, object, bool], ...]  # name, type, whether what it points to is const

    @property
    def changes_memory(self) -> bool:
        """Whether it can write where its caller sees it."""
        return any(isinstance(kind, Pointer) and not const for _, kind, const in self.parameters)


def number(kind) -> bool:
    """Whether a type is a single int or smaller, signed."""
    return isinstance(kind, Plain) and kind.name in ("int", "short", "char", "bool", "uchar", "ushort")


class Types:
    """Names in scope and the types of expressions."""

    def __init__(self):
        self.typedefs: dict[str, object] = {}
        self.tags: dict[str, Struct] = {}
        self.functions: dict[str, Function] = {}
        self._scopes: list[dict[str, object]] = [{}]

    def enter(self) -> None:
        self._scopes.append({})

    def leave(self) -> None:
        self._scopes.pop()

    def declare(self, name: str, kind) -> None:
        self._scopes[-1][name] = kind

    def lookup(self, name: str):
        return next((scope[name] for scope in reversed(self._scopes) if name in scope), None)

    def convert(self, node):
        """The type that a declaration's type node means."""
        match node:
            case c_ast.TypeDecl() | c_ast.Typename() | c_ast.Decl():
                return self.convert(node.type)
            case c_ast.IdentifierType():
                name = " ".join(node.names)
                return self.typedefs.get(name) or Plain(_SPELT.get(name, name))
            case c_ast.PtrDecl():
                return Pointer(self.convert(node.type), space_of(node.type))
            case c_ast.ArrayDecl():
                return Array(self.convert(node.type))
            case c_ast.Enum():
                return Plain("int")
            case c_ast.Struct() | c_ast.Union():
                return self._struct(node)
        raise Unsupported(f"{node.coord}: a declaration by {type(node).__name__}")

    def _struct(self, node) -> Struct:
        if node.decls is None:
            return self.tags[node.name]
        made = Struct(isinstance(node, c_ast.Union))
        if node.name:
            self.tags[node.name] = made
        for member in node.decls:
            made.members[member.name] = self.convert(member.type)
        return made

    def parameter(self, node):
        """The type of a parameter: arrays are pointers there."""
        kind = self.convert(node.type)
        return Pointer(kind.of, space_of(node.type.type)) if isinstance(kind, Array) else kind

    def of(self, e):  # noqa: PLR0911 - one case, one return
        """The type of an expression; None: some number or vector."""
        match e:
            case c_ast.Constant():
                return Plain("int") if e.type == "int" else None
            case c_ast.ID():
                return Plain("int") if e.name in ("INT_MAX", "INT_MIN") else self.lookup(e.name)
            case c_ast.ArrayRef():
                return self.pointee(self.of(e.name))
            case c_ast.StructRef():
                return self._member(e)
            case c_ast.Cast():
                return self.convert(e.to_type)
            case c_ast.TernaryOp():
                return self.decayed(self.of(e.iftrue)) or self.decayed(self.of(e.iffalse))
            case c_ast.Assignment():
                return self.of(e.lvalue)
            case c_ast.ExprList():
                return self.of(e.exprs[-1])
            case c_ast.FuncCall():
                return self._result(e)
            case c_ast.UnaryOp():
                return self._unary(e)
            case c_ast.BinaryOp():
                return self._binary(e)
        return None

    @staticmethod
    def pointee(kind):
        match kind:
            case Pointer():
                return kind.to
            case Array():
                return kind.of
            case Plain() if kind.lanes:
                return kind.element
        return None

    @staticmethod
    def decayed(kind):
        """An array as the pointer that it becomes in expressions."""
        return Pointer(kind.of, "") if isinstance(kind, Array) else kind

    def _member(self, e):
        kind = self.of(e.name)
        kind = kind.to if e.type == "->" and isinstance(kind, Pointer) else kind
        if isinstance(kind, Struct):
            return kind.members[e.field.name]
        if isinstance(kind, Plain) and kind.lanes and e.field.name in "xyzw":
            return kind.element
        return None

    def _result(self, e):
        name = e.name.name if isinstance(e.name, c_ast.ID) else ""
        if name in self.functions:
            return self.functions[name].result
        if name in _SIZES:
            return Plain("size_t")
        if match := _RESULT.fullmatch(name):
            return Plain(match.group(1))
        if name in ("min", "max", "clamp", "abs"):
            kinds = [self.of(argument) for argument in e.args.exprs]
            return Plain("int") if all(kind == Plain("int") for kind in kinds) else None
        return None

    def _unary(self, e):
        kind = self.of(e.expr) if e.op != "sizeof" else None
        match e.op:
            case "*":
                return self.pointee(kind)
            case "&":
                return Pointer(kind, "")
            case "++" | "--" | "p++" | "p--":
                return kind
            case "-" | "+" | "~":
                return Plain("int") if number(kind) else kind
        return None

    def _binary(self, e):
        left, right = self.decayed(self.of(e.left)), self.decayed(self.of(e.right))
        pointers = isinstance(left, Pointer), isinstance(right, Pointer)
        if e.op in ("+", "-") and any(pointers):
            return Plain("long") if all(pointers) else left if pointers[0] else right
        if number(left) and number(right):
            return Plain("int")
        return None


def space_of(node) -> str:
    """The address space named in the type that a pointer points to; "" for private."""
    while isinstance(node, c_ast.ArrayDecl):
        node = node.type
    words = [word.strip("_") for word in getattr(node, "quals", None) or []]
    return next((word for word in words if word in SPACES and word != "private"), "")
