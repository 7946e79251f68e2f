"""OpenCL C to a syntax tree whose nodes know file and line, with the macros expanded."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from importlib import resources

from pcpp import Action, OutputDirective, Preprocessor
from pycparser import c_ast, c_lexer, c_parser

from mandel import kernels

_INCLUDE = re.compile(r'[ \t]*#include[ \t]+"([A-Za-z0-9_]+\.h)"[ \t]*')
SCALARS = ("char", "uchar", "short", "ushort", "int", "uint", "long", "ulong", "float", "double", "half")
WIDTHS = (2, 3, 4, 8, 16)
# OpenCL's types that C's grammar does not know; uses of their names are what matters, not what they are.
_TYPES = [f"{name}{width}" for name in SCALARS for width in WIDTHS]
_TYPES += ["uchar", "ushort", "uint", "ulong", "half", "bool", "size_t", "ptrdiff_t", "intptr_t", "uintptr_t"]
_PRELUDE = "prelude"
_OPERATORS = tuple("+-*/%&|^<>=!")
SPACES = ("global", "local", "constant", "private")


class Unsupported(Exception):
    """The checked build cannot say what a piece of source does with memory."""


@dataclass
class Source:
    """A program ready to be instrumented.

    Attributes:
        tree: of the program without its preprocessor's directives.
        attributes: of each function, as written.
        places: (file, line) of each line of the text, which the tree's coordinates count.
    """

    tree: c_ast.FileAST
    attributes: dict[str, str]
    places: list[tuple[str, int]]

    def place(self, node: c_ast.Node) -> tuple[str, int]:
        """(file, line) of a node; of a macro's, where it is used."""
        line = node.coord.line if node.coord else 0
        return self.places[line - 1] if 0 < line <= len(self.places) else ("?", 0)


def _located(name: str, seen: set[str]) -> list[tuple[str, str, int]]:
    """Lines of a kernel file, included ones in their places: (text, file, line)."""
    if name in seen:
        return [("", name, 0)]
    seen.add(name)
    lines = []
    text = resources.files(kernels).joinpath(name).read_text(encoding="utf-8")
    for number, line in enumerate(text.split("\n"), 1):
        if match := _INCLUDE.fullmatch(line):
            included = _located(match.group(1), seen)
            # What follows the directive on its line follows the included text's last line.
            lines += included
        else:
            lines.append((line, name, number))
    return lines


def _places(text: str, name: str) -> list[tuple[str, int]]:
    """Where each line of a program's text comes from."""
    if name.endswith(".cl") and text == kernels.source(name):
        lines = _located(name, set())
        if "\n".join(line for line, _, _ in lines) != text:
            raise Unsupported(
                f"{name}: the loader of mandel.kernels resolves includes in another way than here"
            )
        return [(file, number) for _, file, number in lines]
    return [(name, number) for number in range(1, text.count("\n") + 2)]


class _Preprocessor(Preprocessor):
    """Knows every macro that there is; leaves nothing for the compiler's preprocessor."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name
        for macro in ("__OPENCL_VERSION__ 120", "__OPENCL_C_VERSION__ 120", "cl_khr_fp64 1", "_Pragma(x)"):
            self.define(macro)

    def on_unknown_macro_in_defined_expr(self, tok):
        return False

    def on_unknown_macro_in_expr(self, ident):
        return 0

    def on_include_not_found(self, is_malformed, is_system_include, curdir, includepath):
        raise Unsupported(f"{self.name}: #include {includepath!r} was not resolved by the loader")

    def on_error(self, file, line, msg):
        raise Unsupported(f"{self.name}: the preprocessor says: {msg}")

    def on_directive_handle(self, directive, toks, ifpassthru, precedingtoks):
        if directive.value == "pragma":  # hints to optimisers
            raise OutputDirective(Action.IgnoreAndRemove)
        return super().on_directive_handle(directive, toks, ifpassthru, precedingtoks)


def _written(tokens: list, space) -> str:
    """The tokens as text, each on its line.

    The preprocessor's tokens are finer than C's: 1.5f is four of them. So spaces stand where the source
    has them, and where two operators that macros brought together would become another one.
    """
    out, line, before = io.StringIO(), 1, ""
    for token in tokens:
        if token.type in space:
            out.write(" ")
            before = ""
            continue
        if token.lineno > line:
            out.write("\n" * (token.lineno - line))
            line = token.lineno
        elif before in _OPERATORS and token.value[0] in _OPERATORS:
            out.write(" ")
        out.write(token.value)
        before = token.value[-1]
    return out.getvalue()


def _attribute(tokens: list, start: int) -> int:
    """Index past the ``((...))`` of an attribute at ``start``."""
    depth, at = 0, start + 1
    while True:
        depth += {"(": 1, ")": -1}.get(tokens[at].value, 0)
        at += 1
        if depth == 0:
            return at


def _without_attributes(tokens: list, space, name: str) -> tuple[list, dict[str, str]]:
    """The tokens without GNU attributes, and what was said about each function."""
    kept, found, pending, at = [], {}, [], 0
    while at < len(tokens):
        value = tokens[at].value
        if value in ("__attribute__", "__attribute"):
            end = _attribute(tokens, at)
            pending.append("".join(token.value for token in tokens[at:end]))
            if "packed" in pending[-1]:
                raise Unsupported(
                    f"{name}: packed structs have other sizes than the checked build gives them"
                )
            at = end
            continue
        if value == "(" and pending:
            function = next(token for token in reversed(kept) if token.type not in space)
            found[function.value] = " ".join(pending)
        if value in ("(", ";", "=", "{", "}", ","):
            pending = []
        kept.append(tokens[at])
        at += 1
    return kept, found


class _Lexer(c_lexer.CLexer):
    """C with OpenCL's qualifiers; the tree keeps them as they are written."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        for word in SPACES:
            self._keyword_map[word] = self._keyword_map["__" + word] = "VOLATILE"
        for word in ("read_only", "write_only", "__read_only", "__write_only"):
            self._keyword_map[word] = "VOLATILE"
        self._keyword_map["kernel"] = self._keyword_map["__kernel"] = "INLINE"


def parsed(text: str, options: list[str], name: str) -> Source:
    """The program that ``text`` is with the compiler's ``options`` (-DNAME=VALUE).

    Raises:
        Unsupported: not what this reads.
    """
    places = _places(text, name)
    preprocessor = _Preprocessor(name)
    for option in options:
        if option.startswith("-D"):
            key, _, value = option[2:].partition("=")
            preprocessor.define(f"{key} {value or 1}")
    preprocessor.parse(text, name)
    tokens = []
    while (token := preprocessor.token()) is not None:
        if token.value:
            tokens.append(token)
    tokens, attributes = _without_attributes(tokens, preprocessor.t_WS, name)
    written = _written(tokens, preprocessor.t_WS)
    prelude = "".join(f"typedef int {word};" for word in _TYPES)
    try:
        tree = c_parser.CParser(lexer=_Lexer).parse(f'{prelude}\n#line 1 "{name}"\n{written}', _PRELUDE)
    except c_parser.ParseError as error:
        raise Unsupported(f"{name}: {error}") from error
    tree.ext = [node for node in tree.ext if node.coord is None or node.coord.file != _PRELUDE]
    return Source(tree, attributes, places)
