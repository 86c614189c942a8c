"""Generates the typed modules of both clients from `docs/openapi.json` and `docs/asyncapi.json`.

    python clients/generate.py          writes `types` and `requests` of both languages; a test compares them

The generator supports only the constructs that these documents use: objects, arrays, unions, enums, references. It
stops at anything else and prints it, so that a client never falls back to `any` unnoticed. Deprecated paths of an
operation, and deprecated parameters, are omitted (ADR 16).
"""

from __future__ import annotations

import json
import keyword
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
NOTE = "Written by clients/generate.py from the specification; change that instead."
#: Operations that the hand-written streams implement.
STREAMS = {"stream"}
JSON, BYTES = "application/json", "application/octet-stream"

Schema = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of the API."""

    name: str
    method: str
    path: str
    summary: str
    text: str
    path_names: list[str]
    query: list[dict[str, Any]]
    body: Schema | None
    #: None for bytes.
    answer: Schema | None
    #: Whether it accepts an Idempotency-Key, so that it may be sent again.
    is_idempotent: bool


class Language(Protocol):
    """Renders a schema in one language."""

    def type_of(self, schema: Schema) -> str:
        """Return the type in this language."""
        ...


def schemas() -> dict[str, Schema]:
    """Return every named schema of both documents."""
    found: dict[str, Schema] = {}
    for name in ("openapi", "asyncapi"):
        for title, schema in json.loads((DOCS / f"{name}.json").read_text())["components"]["schemas"].items():
            same = found.setdefault(title, schema)
            if same != schema:
                raise SystemExit(f"{title} has two definitions; rename one of them.")
    return dict(sorted(found.items()))


def operations() -> Iterator[Operation]:
    """Yield every operation with its newest path."""
    document = json.loads((DOCS / "openapi.json").read_text())
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if operation["deprecated"] or operation["operationId"] in STREAMS:
                continue
            parameters = [one for one in operation.get("parameters", []) if not one.get("deprecated")]
            content = next(one["content"] for status, one in operation["responses"].items() if status.startswith("2"))
            body = operation.get("requestBody", {}).get("content", {}).get(JSON)
            yield Operation(
                name=operation["operationId"],
                method=method.upper(),
                path=path,
                summary=operation["summary"],
                text=operation["description"],
                path_names=re.findall(r"\{(\w+)\}", path),
                query=[one for one in parameters if one["in"] == "query"],
                body=body and body["schema"],
                answer=content[JSON]["schema"] if JSON in content else None,
                is_idempotent=operation.get("x-idempotent", False),
            )


def union(schema: Schema, language: Language) -> list[str]:
    """Return the alternatives of a union schema."""
    return list(dict.fromkeys(language.type_of(one) for one in schema["anyOf"]))


PYTHON_REQUESTS = '''"""Every call of the API.

{note}
"""

from __future__ import annotations

from typing import Any, Literal, Unpack, cast
from typing import Protocol as Structure
from urllib.parse import quote

from .types import ({names})


def _quoted(text: str) -> str:
    return quote(text, safe="")


class Transport(Structure):
    """Carries a call."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: Any = None,
        is_idempotent: bool = False,
    ) -> Any:
        """The body of the answer: JSON read, or bytes."""
        ...


class Requests:
    """One method a call; `Zmart` is what to use."""

    _transport: Transport

'''

# --- Python -----------------------------------------------------------------------------------


class Python:
    """Renders the schemas and operations in Python."""

    plain = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}  # noqa: RUF012

    def type_of(self, schema: Schema) -> str:  # noqa: PLR0911 - one answer for each kind of schema
        """Return a type expression."""
        match schema:
            case {"$ref": reference}:
                return str(reference).rpartition("/")[2]
            case {"const": value}:
                return f"Literal[{value!r}]"
            case {"enum": values}:
                return f"Literal[{', '.join(repr(value) for value in values)}]"
            case {"anyOf": _}:
                return " | ".join(union(schema, self))
            case {"type": [*kinds]}:
                return " | ".join(self.type_of({**schema, "type": kind}) for kind in kinds)
            case {"type": "array", "items": items}:
                return f"list[{self.type_of(items)}]"
            case {"type": "object"}:
                return "dict[str, Any]"
            case {"type": kind}:
                return self.plain[kind]
            case _ if not schema.keys() - {"description", "default"}:
                return "Any"
        raise SystemExit(f"Unsupported schema: {schema}")

    def types(self) -> str:
        """Return the source of the module `types`."""
        parts = [f'"""The shapes of requests and answers.\n\n{NOTE}\n"""', "", "from __future__ import annotations", ""]
        parts += ["from typing import Any, Literal, NotRequired, TypedDict", ""]
        for name, schema in schemas().items():
            parts += ["", *self.shape(name, schema), ""]
        return format_source("\n".join(parts))

    def shape(self, name: str, schema: Schema) -> Iterator[str]:
        """Yield the lines of one type; it uses the call syntax if a field's name is a keyword of Python."""
        sentence = _escape(schema.get("description") or "Part of a response.")
        properties, required = schema.get("properties", {}), schema.get("required", ())
        kinds = {
            field: kind if field in required else f"NotRequired[{kind}]"
            for field, kind in ((field, self.type_of(inner)) for field, inner in properties.items())
        }
        if any(keyword.iskeyword(field) for field in kinds):
            fields = ", ".join(f"{field!r}: {kind!r}" for field, kind in kinds.items())
            yield f"{name} = TypedDict({name!r}, {{{fields}}})"
            yield f'"""{sentence}"""'
            return
        yield f"class {name}(TypedDict):"
        yield f'    """{sentence}"""'
        yield ""
        for field, kind in kinds.items():
            yield f"    {field}: {kind}"
            if text := properties[field].get("description"):
                yield textwrap.indent(textwrap.fill(f'"""{_escape(text)}"""', 116), "    ")

    def requests(self) -> str:
        """Return the source of the module `requests`."""
        names = sorted({name for one in operations() for name in self.names(one)})
        parts = [PYTHON_REQUESTS.format(note=NOTE, names=", ".join(names))]
        for one in operations():
            parts += self.method(one)
        return format_source("\n".join(parts))

    def names(self, one: Operation) -> set[str]:
        """Return the names of the types that an operation uses."""
        mentioned = [one.body, one.answer, *(parameter["schema"] for parameter in one.query)]
        return {found for schema in mentioned for found in re.findall(r"schemas/(\w+)", json.dumps(schema))}

    def method(self, one: Operation) -> Iterator[str]:
        """Yield the lines of one method."""
        signature = ["self", *(f"{name}: str" for name in one.path_names)]
        query = {}
        if one.query:
            signature.append("*")
            for parameter in sorted(one.query, key=lambda parameter: not parameter["required"]):
                name = parameter["name"] + ("_" if keyword.iskeyword(parameter["name"]) else "")
                kind = self.type_of(parameter["schema"])
                signature.append(f"{name}: {kind}" if parameter["required"] else f"{name}: {kind} | None = None")
                query[parameter["name"]] = name
        if one.body:
            signature.append(f"**body: Unpack[{self.type_of(one.body)}]")
        answer = self.type_of(one.answer) if one.answer else "bytes"
        yield f"    async def {snake(one.name)}({', '.join(signature)}) -> {answer}:"
        yield f'        """{_escape(one.summary)}.'
        yield ""
        yield textwrap.indent(textwrap.fill(_escape(one.text), 110), "        ")
        yield '        """'
        path = re.sub(r"\{(\w+)\}", r"{_quoted(\1)}", one.path)
        arguments = [repr(one.method), f'f"{path}"' if one.path_names else f'"{path}"']
        if query:
            arguments.append("query={" + ", ".join(f"{key!r}: {value}" for key, value in query.items()) + "}")
        if one.body:
            arguments.append("body=body")
        if one.is_idempotent:
            arguments.append("is_idempotent=True")
        yield f'        return cast("{answer}", await self._transport.request({", ".join(arguments)}))'
        yield ""


def snake(name: str) -> str:
    """Return a name such as listMarkets in snake_case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _escape(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace('"""', "'''")


def format_source(source: str) -> str:
    """Format source code with the project's ruff settings."""
    for command in (["check", "-q", "--fix", "--ignore", "D,E501,A"], ["format", "-q"]):
        ran = subprocess.run(  # noqa: S603 - our own linter
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(HERE / "python/x.py"), "-"],
            input=source,
            capture_output=True,
            text=True,
            check=False,
        )
        source = ran.stdout or source
    return source


# --- TypeScript -------------------------------------------------------------------------------


class TypeScript:
    """Renders the schemas and operations in TypeScript."""

    plain = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}  # noqa: RUF012

    def type_of(self, schema: Schema) -> str:  # noqa: PLR0911 - one answer for each kind of schema
        """Return a type expression."""
        match schema:
            case {"$ref": reference}:
                return str(reference).rpartition("/")[2]
            case {"const": value}:
                return json.dumps(value)
            case {"enum": values}:
                return " | ".join(json.dumps(value) for value in values)
            case {"anyOf": _}:
                return " | ".join(union(schema, self))
            case {"type": [*kinds]}:
                return " | ".join(self.type_of({**schema, "type": kind}) for kind in kinds)
            case {"type": "array", "items": items}:
                inner = self.type_of(items)
                return f"({inner})[]" if " | " in inner else f"{inner}[]"
            case {"type": "object", "properties": properties}:
                return self.fields(properties, schema.get("required", ()))
            case {"type": "object"}:
                return "Record<string, unknown>"
            case {"type": kind}:
                return self.plain[kind]
            case _ if not schema.keys() - {"description", "default"}:
                return "unknown"
        raise SystemExit(f"Unsupported schema: {schema}")

    def fields(self, properties: dict[str, Schema], required: Any, indent: str = "") -> str:
        """Return the body of an object type."""
        lines = []
        for name, inner in properties.items():
            if text := inner.get("description"):
                lines.append(f"{indent}  /** {' '.join(text.split())} */")
            lines.append(f"{indent}  {name}{'' if name in required else '?'}: {self.type_of(inner)};")
        return "{\n" + "\n".join(lines) + f"\n{indent}}}"

    def types(self) -> str:
        """Return the source of the module `types`."""
        parts = [f"/** The shapes of requests and answers. {NOTE} */", ""]
        for name, schema in schemas().items():
            parts.append(f"/** {' '.join((schema.get('description') or 'Part of an answer.').split())} */")
            parts.append(
                f"export interface {name} {self.fields(schema.get('properties', {}), schema.get('required', ()))}"
            )
            parts.append("")
        return "\n".join(parts)

    def requests(self) -> str:
        """Return the source of the module `requests`."""
        parts = [f"/** Every call of the API. {NOTE} */", "", 'import type * as types from "./types.js";', ""]
        parts += ["/** What a call sends; an idempotent one may be sent again. */", "export interface RequestOptions {"]
        parts += ["  query?: object;", "  body?: unknown;", "  isIdempotent?: boolean;", "}", ""]
        parts += ["/** Carries a call. */", "export interface Transport {"]
        parts += ["  request(method: string, path: string, options?: RequestOptions): Promise<unknown>;"]
        parts += ["}", "", "/** One method a call; `Zmart` is what to use. */", "export class Requests {"]
        parts += ["  constructor(private readonly transport: Transport) {}", ""]
        for one in operations():
            parts += self.method(one)
        return "\n".join([*parts, "}", ""])

    def method(self, one: Operation) -> Iterator[str]:
        """Yield the lines of one method."""
        signature = [f"{name}: string" for name in one.path_names]
        arguments = []
        if one.body:
            signature.append(f"body: {self.qualified_type(one.body)}")
            arguments.append("body")
        if one.query:
            needed = [parameter["name"] for parameter in one.query if parameter["required"]]
            inner = "; ".join(
                f"{parameter['name']}{'' if parameter['required'] else '?'}: {self.type_of(parameter['schema'])}"
                for parameter in one.query
            )
            signature.append(f"query: {{ {inner} }}{'' if needed else ' = {}'}")
            arguments.append("query")
        if one.is_idempotent:
            arguments.append("isIdempotent: true")
        answer = self.qualified_type(one.answer) if one.answer else "Uint8Array"
        yield "  /**"
        yield f"   * {one.summary}."
        yield "   *"
        yield from textwrap.wrap(" ".join(one.text.split()), 110, initial_indent="   * ", subsequent_indent="   * ")
        yield "   */"
        path = re.sub(r"\{(\w+)\}", r"${encodeURIComponent(\1)}", one.path)
        more = f", {{ {', '.join(arguments)} }}" if arguments else ""
        yield f"  async {one.name}({', '.join(signature)}): Promise<{answer}> {{"
        yield f'    return (await this.transport.request("{one.method}", `{path}`{more})) as {answer};'
        yield "  }"
        yield ""

    def qualified_type(self, schema: Schema) -> str:
        """Return the type expression with the prefix `types.` for named schemas."""
        if "$ref" in schema:
            return f"types.{self.type_of(schema)}"
        if "anyOf" in schema:
            return " | ".join(self.qualified_type(one) for one in schema["anyOf"])
        if schema.get("type") == "array":
            return f"{self.qualified_type(schema['items'])}[]"
        return self.type_of(schema)


def files() -> dict[Path, str]:
    """Return the source of every generated file, by its path."""
    python, typescript = Python(), TypeScript()
    return {
        HERE / "python/zmart_client/types.py": python.types(),
        HERE / "python/zmart_client/requests.py": python.requests(),
        HERE / "typescript/src/types.ts": typescript.types(),
        HERE / "typescript/src/requests.ts": typescript.requests(),
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
        print(path.relative_to(HERE.parent))
