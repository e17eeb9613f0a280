"""Texts that a stranger's file can hold: markup, control codes, formulas, and usual ones that must stay as they are."""
# ruff: noqa: E501

MARKUP = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>", "<a href='javascript:x'>y</a>",
    "<!-- hidden -->", "<?php echo 1 ?>", "<![CDATA[x]]>", "</td></tr><tr><td>", "<iframe src=//x.example></iframe>",
    "<https://x.example>", "<me@x.example>", "<b>bold</b>", "a<br>b", "<details open ontoggle=alert(1)>", "<style>*{}",
    "[x](javascript:alert(1))", "[x](https://x.example)", "![x](https://x.example/p.png)", "[x][y]", "[x]: https://x.y",
    "[x]:<javascript:alert(1)>", "![x]", "[^1]: note", "[![a](b)](c)", "](javascript:x)", "![", "[a](<b c>)",
    "https://x.example/?a=b", "http://x.example", "ftp://x.example", "www.x.example", "mailto:me@x.example",
    "HTTPS://X.EXAMPLE", "javascript:alert(1)", "data:text/html,x", "me@x.example", "xmpp:a@b.c", "visit www.x.example now",
    "# heading", "###### six", "#\ttab", "> quote", ">quote", "- item", "* item", "+ item", "1. item", "1) item", "---",
    "***", "___", "===", "- - -", "~~~", "```sh", "`code`", "``a`b``", "`", "\\`", "    code", "\tcode", "| a | b |",
    "a | b", "a \\| b", "\\|", "|", "\\", "\\\\", "a\\", "a|", "|---|", "| --- | --- |", "a\n| b | c |", "a\n# b",
    "a\n\n# heading\n\nb", "a\r\n- b", "a\n---", "a\n===", "a\u2028# b", "a\u2029# b", "a\x85# b", "a\x0b# b", "a\x0c# b",
    "*emphasis*", "**strong**", "_emphasis_", "__strong__", "snake_case_name", "a*b*c", "~~gone~~", "&lt;script&gt;",
    "&#60;script&#62;", "&#x3C;b&#x3E;", "&amp;", "&copy;", "<", ">", "&", "a < b > c", "p < 0.001", "$x^2$", "$$\\frac{1}$$",
    "{{ x }}", "{% x %}", ":smile:", "@everyone", "#123", "[ ] task", "- [x] done", "Term\n: definition", "[[wiki]]",
    "[bold]rich[/bold]", "[/]", "[link=https://x.example]x[/link]", "[red]", "\\[bold]", "[@click=app.bell]x[/]", "[0]",
]  # fmt: skip
CONTROL = [
    "\x1b[31mred", "\x1b[2J", "\x1b]0;title\x07", "\x1b]8;;https://x.example\x07x\x1b]8;;\x07", "\x1b[1A\x1b[2K", "\x1bc",
    "\x9b31m", "\x90q\x9c", "\x9d0;t\x9c", "\x07", "\x08\x08\x08", "a\rb", "a\nb", "a\tb", "a\x00b", "\x7f", "\x0e\x0f",
    "a\u202eb", "a\u202db", "a\u2066b\u2069", "\u2067x", "\u200fx", "\u200ex", "a\u200bb", "a\u200db", "\ufeffx", "a\u00adb",
    "\u2028", "\u2029", "a\x85b", "\ud800", "caf\udce9", "a\udfffb", "\U000e0041x", "\ue000", "\uffff", "a\u2060b", "\u061cx",
    "\x1b[6n", "\x1b[?1049h", "\x1bP+q\x1b\\", "\x1b_x\x1b\\", "\x1b[8m", "\x1b[9999C", "\x05", "\x1a", "\x1b%G", "\u034f\u202ex",
]  # fmt: skip
FORMULAS = [
    "=cmd|' /C calc'!A0", "=1+1", "+1+1", "-1+1", "@SUM(A1)", "=HYPERLINK(\"http://x\")", "\t=1+1", "\r=1+1", "\n=1", "=",
    "-", "+", "@", "-2+3+cmd|' /C calc'!D2", "=DDE(1)", "+x", "-x", "@x", "=\x1b[31m", "'=1", "\u202e=1", " =1",
]  # fmt: skip
USUAL = [
    "standard r=16", "SE-ResNet-50 (here resnet20)", "Größe", "猫", "a" * 300, "", " ", "'", '"', "O'Neil", "50 %", "a, b; c",
    "C:\\data", "../photos", "Hu et al., arXiv:1709.01507", "r = 2 ... 16", "x -> y", "±0.5", "kept for the backward pass [MB]",
    "+1.00 [+0.75, +1.25]", "-0.25 [-1.00, +0.50]", "1,234", "~5 h", "a & b", "100% of 10", "e.g. *.png", "a_b", "no=yes",
]  # fmt: skip
PAYLOADS = [*MARKUP, *CONTROL, *FORMULAS, *USUAL]
