"""How large the project is: modules, lines, rules, and files that an extension touches.

    python benchmarks/size.py [--before REVISION]

Counts the working tree, and with `--before` an older revision too, and writes `size.json`. A rule
is generated if it is defined in a loop. What an extension touches is read from
`docs/extending.md`; for the time before that page it was found by a review of the code.
"""

import argparse
import ast
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean, median

ROOT = Path(__file__).parents[1]
TOUCHED_BEFORE = {"probe": "19", "circuit method": "9", "overview": "8", "model source": "10"}
"""Files that an extension touched before each kind of part was declared in one place."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", metavar="REVISION", help="an older revision to count too")
    revision = parser.parse_args().before
    path = ROOT / "benchmarks" / "size.json"
    report = json.loads(path.read_text()) if path.exists() else {}
    if revision:
        with tempfile.TemporaryDirectory() as folder:
            archive = subprocess.run(
                ["git", "archive", revision], cwd=ROOT, check=True, capture_output=True
            )
            subprocess.run(["tar", "x", "-C", folder], input=archive.stdout, check=True)
            before = counted(Path(folder)) | {"files touched by": TOUCHED_BEFORE}
            report["before"] = {"revision": revision} | before
    report["after"] = counted(ROOT) | {"files touched by": touched()}
    text = json.dumps(report, indent=1)
    print(text)
    path.write_text(text + "\n")


def counted(root: Path) -> dict[str, object]:
    """Modules, lines and rules of a project."""
    library = modules(root / "workflow/scripts/timelapse")
    scripts = sorted((root / "workflow/scripts").glob("*.py"))
    lines = [len(path.read_text().splitlines()) for path in library]
    code = [code_lines(path) for path in library]
    snakefiles = [root / "Snakefile", *sorted((root / "rules").glob("*.smk"))]
    definitions = [
        found for path in snakefiles for found in re.findall(RULE, path.read_text(), re.M)
    ]
    return {
        "library modules": len(library),
        "library lines": sum(lines),
        "lines of code in a module, mean": round(mean(code)),
        "lines in a module, median": round(median(lines)),
        "lines in a module, most": max(lines),
        "scripts": len(scripts),
        "script lines": sum(len(path.read_text().splitlines()) for path in scripts),
        "rule file lines": sum(len(path.read_text().splitlines()) for path in snakefiles),
        "rule definitions": len(definitions),
        "rule definitions in loops": sum(indent != "" for indent in definitions),
        "rules of the default study": len(listed_rules(root)),
        "test files": len(list((root / "tests").rglob("*.py"))),
        "test lines": sum(
            len(path.read_text().splitlines()) for path in (root / "tests").rglob("*.py")
        ),
    }


RULE = r"^([ \t]*)(?:use )?rule\b[^\n]*:$"


def modules(library: Path) -> list[Path]:
    """The modules of the library that hold anything; packages' empty files do not count."""
    return [path for path in sorted(library.rglob("*.py")) if path.name != "__init__.py"]


def code_lines(path: Path) -> int:
    """Lines that are not empty, and no comment's or docstring's alone."""
    text = path.read_text()
    documentation = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, node.end_lineno + 1)
    }
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and number not in documentation
        for number, line in enumerate(text.splitlines(), 1)
    )


def listed_rules(root: Path) -> list[str]:
    """The rules that Snakemake knows in the default study."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--list-rules"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


def touched() -> dict[str, str]:
    """How many files each extension of `docs/extending.md` touches, tests counted."""
    sections = re.split(r"^## ", (ROOT / "docs/extending.md").read_text(), flags=re.M)[1:]
    found = {}
    for section in sections:
        files = set(re.findall(r"^```\w+ (?:new|append|insert) (\S+)", section, re.M))
        if files:
            found[section.splitlines()[0].removeprefix("Add a ")] = str(len(files))
    return found


if __name__ == "__main__":
    main()
