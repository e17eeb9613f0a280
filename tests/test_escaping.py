"""No command and no report writes a text from outside as it is: checked on the syntax of every file in `src`.

On a terminal: what is printed is a constant, JSON, or passes `one_line` or `printable`. In Markdown: what stands in an
f-string of a function that writes it is a number, or passes one of the functions of `senet.text`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "senet"
FOR_A_TERMINAL = {"one_line", "printable", "dumps"}
FOR_MARKDOWN = {"markdown", "as_markdown", "code_span", "bullets"}
NUMBERS = {"len", "counted", "sum", "int", "round"}
WRITERS = {  # files that write Markdown, with the functions in them that do
    "reports/study_report.py": {"report_text", "_made", "_how_many"},
    "reports/search_report.py": {"_text", "_choice", "_shared_cost", "_shared", "_claimed", "_confirmed", "_made"},
    "reports/fold_report.py": {"as_markdown"},
    "explanation/report.py": {"as_markdown"},
    "reports/bench_report.py": {"markdown"},
    "weights/card.py": {"card", "_training"},
    "exporting/card.py": {"with_export"},
    "reports/int8_report.py": {"_markdown"},
}
LET_BE = {
    "reports/study_report.py": ("titles[name]", "name", "head", "line", "', '.join(map(str, study.looks))"),
    # of our own tables; lines of `_made`; numbers
    "explanation/report.py": ("held", "kind", "name"),  # words of its own; names of its own figures
    "reports/search_report.py": ("line",),  # of `_made`
    "reports/int8_report.py": ("sizes", "name"),  # numbers by names of its own
    "exporting/card.py": ("LIBRARY",),  # a line of the card
    "weights/card.py": ("_table(numbers)", "lines", "name", "value!r"),  # its values are watched; within a fence
}
KNOWN = {  # values that are numbers or words of senet's own, checked where they are read
    "epochs", "batch_size", "num_classes", "in_chans", "image_size", "size", "mean", "std", "train_size", "test_size",
    "result.run.id", "result.run.seed", "recipe.optim.name", "recipe.schedule.name", "len",
}  # fmt: skip


def name_of(call: ast.Call) -> str:
    function = call.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def is_safe(node: ast.AST | None, escapers: set[str], known: dict[str, list[ast.expr]], deep: int = 0) -> bool:
    """Return whether a value is a constant, passes an escaper, or is made of such."""

    def safe(*nodes: ast.AST | None) -> bool:
        return deep < 30 and all(is_safe(one, escapers, known, deep + 1) for one in nodes)

    match node:
        case None | ast.Constant():
            return True
        case ast.JoinedStr():
            return safe(*node.values)
        case ast.FormattedValue():
            numeric = node.format_spec is not None and ast.unparse(node.format_spec)[-2] in "dfeg%,"
            return numeric or safe(node.value)
        case ast.IfExp():
            return safe(node.body, node.orelse)
        case ast.BoolOp():
            return safe(*node.values)
        case ast.BinOp():
            return isinstance(node.op, ast.Mult) or safe(node.left, node.right)
        case ast.List() | ast.Tuple() | ast.Set():
            return safe(*node.elts)
        case ast.Starred():
            return safe(node.value)
        case ast.GeneratorExp() | ast.ListComp() | ast.SetComp():
            return safe(node.elt)
        case ast.Call() if name_of(node) in escapers | NUMBERS:
            return True
        case ast.Call() if name_of(node) == "Panel":
            return True  # its rows and title are texts, and each text is watched
        case ast.Call() if name_of(node) == "join":
            return safe(node.args[0])
        case ast.Call() if name_of(node) == "map":
            first = node.args[0]
            return isinstance(first, ast.Name) and first.id in escapers | {"str"} and safe_items(first, node)
        case ast.Call() if name_of(node) in ("sorted", "list", "dict", "rstrip", "Text"):
            return safe(*(node.args[:1] or [getattr(node.func, "value", None)]))
        case ast.Name():
            return node.id in KNOWN or (node.id in known and safe(*known[node.id]))
        case ast.Attribute():
            return node.attr in KNOWN or any(ast.unparse(node).endswith(one) for one in KNOWN if "." in one)
    return False


def safe_items(function: ast.Name, call: ast.Call) -> bool:
    """Return whether what is mapped is escaped, or is numbers: seeds."""
    return function.id != "str" or getattr(call.args[1], "attr", "") == "seeds"


def assigned(function: ast.AST) -> dict[str, list[ast.expr]]:
    """Return what the names of a function are bound to, wherever that is."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
                elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    for name, value in zip(target.elts, node.value.elts, strict=True):
                        found.setdefault(ast.unparse(name), []).append(value)
    return found


def printed_as_it_is(text: str) -> Iterator[str]:
    """Yield the calls that put an unescaped text onto a terminal."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = name_of(node)
        where = f"{node.lineno}: {ast.unparse(node)[:100]}"
        rich = name == "print" and isinstance(node.func, ast.Attribute)  # it reads its markup in a plain string
        texts = all(isinstance(arg, ast.Call) and name_of(arg) in ("Text", "Panel") for arg in node.args)
        escaped = all(is_safe(arg, FOR_A_TERMINAL, {}) for arg in node.args)
        past_print = name in ("echo", "secho") or (name == "write" and "std" in ast.unparse(node.func))
        marked_up = name == "TextColumn" and not any(key.arg == "markup" for key in node.keywords)
        unmarked_row = name == "add_row" and not texts  # of the table in a panel
        if (
            past_print
            or marked_up
            or unmarked_row
            or (name in ("print", "Text") and (not escaped or (rich and not texts)))
        ):
            yield where
        elif name in ("add_task", "update"):
            said = [*node.args[:1]] if name == "add_task" else []
            said += [key.value for key in node.keywords if key.arg == "description"]
            if not all(is_safe(one, FOR_A_TERMINAL, {}) for one in said):
                yield where


def written_as_it_is(text: str, functions: set[str]) -> Iterator[str]:
    """Yield the places of f-strings in some functions whose text would be read as Markdown."""
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, ast.FunctionDef) or function.name not in functions:
            continue
        known = assigned(function)
        escaped = {
            id(inner)
            for node in ast.walk(function)
            if isinstance(node, ast.Call) and name_of(node) in FOR_MARKDOWN
            for inner in ast.walk(node)
        }
        loads = [one for one in ast.walk(function) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)]
        covered = set(known) - {one.id for one in loads if id(one) not in escaped}  # all that is done is escape them
        escaped |= {id(inner) for name in covered for value in known[name] for inner in ast.walk(value)}
        for node in ast.walk(function):
            if (
                isinstance(node, ast.FormattedValue)
                and id(node) not in escaped
                and not is_safe(node, FOR_MARKDOWN | functions, known)
            ):
                yield ast.unparse(node)


def test_nothing_is_printed_as_it_is() -> None:
    files = {str(path.relative_to(SOURCE)): path.read_text() for path in SOURCE.rglob("*.py")}
    assert not [f"{name}:{one}" for name, text in files.items() for one in printed_as_it_is(text)]


@pytest.mark.parametrize("name", WRITERS)
def test_nothing_is_written_into_markdown_as_it_is(name: str) -> None:
    text = (SOURCE / name).read_text()
    assert WRITERS[name] <= {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
    assert set(written_as_it_is(text, WRITERS[name])) <= {f"{{{one}}}" for one in LET_BE.get(name, ())}


def test_every_file_that_writes_markdown_is_watched() -> None:
    names_of_files = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(".md")
    }
    # they write what the report beside them returns
    callers = {
        "reports/fold_files.py",
        "explanation/saving.py",
        "exporting/folder.py",
        "cli/export.py",
        "reports/report_folder.py",
    }
    assert names_of_files - callers <= set(WRITERS)


@pytest.mark.parametrize(
    "line",
    [
        "print(title)", "print(f'{name}: {3:.2f}')", "print(path, file=sys.stderr)", "typer.echo(note)",
        "sys.stdout.write(label)", "console().print(note)", "console().print(Text(note))", "print('a ' + note)",
        "bars.add_task(name, total=3)", "bars.update(task, description=name)", "TextColumn('{task.description}')",
        "print(', '.join(names))", "print(f'{one_line(a)} {b}')", "print('%s' % note)", "print(str(error))",
        "table.add_row(note)", "table.add_row(Text(note))", "console.print(Panel(table, title=Text(note)))",
    ],
)  # fmt: skip
def test_a_print_of_a_text_as_it_is_would_be_seen(line: str) -> None:
    assert list(printed_as_it_is(line))


@pytest.mark.parametrize(
    "line",
    [
        "print()", "print('done')", "print(one_line(title))", "print(f'{one_line(name)}: {3:.2f}')",
        "print(json.dumps(values))", "console().print(Text(one_line(note), style='dim'))", "print(f'{count:,}')",
    ],
)  # fmt: skip
def test_a_print_of_an_escaped_text_is_let_be(line: str) -> None:
    assert not list(printed_as_it_is(line))


@pytest.mark.parametrize(
    "value",
    ["title", "run.model", "str(folder)", "', '.join(names)", "note or 'none'", "one_line(x)", "a + markdown(b)"],
)
def test_a_text_in_markdown_as_it_is_would_be_seen(value: str) -> None:
    assert list(written_as_it_is(f'def card():\n    return f"# {{{value}}}"', {"card"}))
    said = f"def card():\n    said = {value}\n    return f'# {{said}}'"
    assert list(written_as_it_is(said, {"card"}))
    assert not list(written_as_it_is(f'def card():\n    return f"# {{markdown({value})}}"', {"card"}))
