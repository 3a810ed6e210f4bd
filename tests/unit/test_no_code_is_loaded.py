"""Nothing that is read can run code: no pickles, no evaluated text, no shells."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "workflow").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])
RULES = sorted([ROOT / "Snakefile", ROOT / "workflow/Snakefile", *(ROOT / "rules").glob("*.smk")])

MODULES = {
    *("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"),
    *("code", "codeop", "runpy", "imp", "torch.hub", "torch.package"),
}
CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "os.spawnl"),
    *("torch.load", "torch.save", "torch.jit.load", "torch.export.load", "torch.compile"),
    *("yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "yaml.unsafe_load_all"),
    *("pd.read_pickle", "pandas.read_pickle", "importlib.import_module", "subprocess.getoutput"),
    "pkgutil.resolve_name",
}
ALLOWED = {
    f"workflow/scripts/{module}.py": ["pkgutil.resolve_name"]
    for module in (
        # by the import paths that registries hold, never by what is read
        "fetch_model",
        "timelapse/circuits/methods",
        "timelapse/figures/films/registry",
        "timelapse/figures/overviews/registry",
        "timelapse/models/metric",
        "timelapse/probes/sweep_cached",
        "timelapse/sweep",
    )
}
METHODS = {"to_pickle", "read_pickle"}
"""Also forbidden on whatever object they are called."""


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def faults(tree: ast.AST) -> list[str]:
    """What a module has that could run code which it reads."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name in MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            found += sorted(names & (MODULES | CALLS))
        elif isinstance(node, ast.Call):
            found += _of_call(node)
    return found


def _of_call(node: ast.Call) -> list[str]:
    name = called(node)
    found = [name] if name in CALLS or name.rpartition(".")[2] in METHODS else []
    options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    for option in ("shell", "allow_pickle", "trust_remote_code"):
        if options.get(option, "False") != "False":
            found.append(f"{name}({option}=...)")
    if name == "yaml.load" and options.get("Loader") not in ("_PlainLoader", "yaml.SafeLoader"):
        found.append("yaml.load with an unsafe loader")
    return found


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("import pickle", "pickle"),
        ("from torch import load", "torch.load"),
        ("from os import system", "os.system"),
        ("torch.load(path)", "torch.load"),
        ("eval(text)", "eval"),
        ("frame.to_pickle(path)", "frame.to_pickle"),
        ("subprocess.run(command, shell=True)", "subprocess.run(shell=...)"),
        ("np.load(path, allow_pickle=True)", "np.load(allow_pickle=...)"),
        ("AutoModel.from_pretrained(x, trust_remote_code=trust)", "trust_remote_code"),
        ("yaml.load(text, Loader=yaml.FullLoader)", "unsafe loader"),
        ("yaml.load(text)", "unsafe loader"),
    ],
)
def test_the_search_finds_what_it_is_for(text: str, fault: str) -> None:
    assert any(fault in one for one in faults(ast.parse(text)))


@pytest.mark.parametrize(
    "text", ["re.compile(x)", "np.load(path)", "model.eval()", "json.loads(x)"]
)
def test_the_search_finds_nothing_else(text: str) -> None:
    assert faults(ast.parse(text)) == []


def test_no_module_can_run_what_it_reads() -> None:
    assert len(SOURCES) > 100
    found = {
        str(path.relative_to(ROOT)): wrong
        for path in SOURCES
        if (wrong := faults(ast.parse(path.read_text())))
    }
    assert found == ALLOWED


def test_rules_run_scripts_alone() -> None:
    assert len(RULES) > 5
    for path in RULES:
        lines = {line.strip() for line in path.read_text().splitlines()}
        forbidden = ("shell:", "run:", "shell(", "notebook:", "wrapper:", "cwl:")
        assert not [line for line in lines if line.startswith(forbidden)], path
