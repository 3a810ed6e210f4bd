"""What a script stands on, and the fingerprint of inputs."""

from pathlib import Path

from timelapse.provenance import SCRIPTS, code_digest, fingerprint, library_files


def modules(script: str) -> set[str]:
    return {Path(path).name for path in library_files(SCRIPTS / script)}


def test_a_script_stands_on_what_it_imports_through_others() -> None:
    assert {"expansion.py", "spec.py", "documents.py", "job.py"} <= modules("expand_task.py")
    assert "attribution.py" not in modules("expand_task.py")


def test_figures_stand_on_no_model() -> None:
    drawn = library_files(SCRIPTS / "draw_film.py") + library_files(SCRIPTS / "draw_overview.py")
    assert not [path for path in drawn if "/models/" in path or "/probes/" in path]


def test_every_listed_file_exists_below_the_scripts() -> None:
    for script in SCRIPTS.glob("*.py"):
        for path in library_files(script):
            assert Path(path).resolve().is_relative_to(SCRIPTS)


def test_a_fingerprint_depends_on_contents_and_values_not_on_places(tmp_path: Path) -> None:
    one, same, other = tmp_path / "one", tmp_path / "same", tmp_path / "other"
    one.write_text("text")
    same.write_text("text")
    other.write_text("texts")
    assert fingerprint([one], {"a": 1}) == fingerprint([same], {"a": 1})
    assert fingerprint([one], {"a": 1}) != fingerprint([other], {"a": 1})
    assert fingerprint([one], {"a": 1}) != fingerprint([one], {"a": 2})


def test_another_function_of_the_same_module_is_other_code() -> None:
    eap, eap_ig = (f"timelapse.circuits.attribution.eap:{name}" for name in ("eap", "eap_ig"))
    assert code_digest(eap) != code_digest(eap_ig)
