"""The dependency rules of the layout, read from the imports of the code itself."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tasks.stages import STAGES

REPOSITORY = Path(__file__).parent.parent
OURS = ("spanmatch", "storage", "tasks", "flows", "tests", "benchmarks")

# Folder: what it must not import.
RULES = {
    "spanmatch": {"storage", "tasks", "flows", "prefect", "dask", "distributed", "zarr"},
    "spanmatch/matching": {
        "torch",
        "torchvision",
        "sklearn",
        "matplotlib",
        "spanmatch.measures",
        "spanmatch.networks",
        "spanmatch.reporting",
        "spanmatch.statistics",
    },
    "spanmatch/measures": {
        "torch",
        "torchvision",
        "sklearn",
        "matplotlib",
        "spanmatch.networks",
        "spanmatch.reporting",
        "spanmatch.statistics",
    },
    "spanmatch/statistics": {
        "torch",
        "torchvision",
        "sklearn",
        "matplotlib",
        "spanmatch.networks",
        "spanmatch.reporting",
    },
    "spanmatch/networks": {"matplotlib", "spanmatch.matching", "spanmatch.measures", "spanmatch.reporting"},
    "spanmatch/reporting": {"torch", "torchvision", "sklearn", "spanmatch.networks", "spanmatch.comparing"},
    "storage": {
        "spanmatch.matching",
        "spanmatch.networks",
        "spanmatch.reporting",
        "tasks",
        "flows",
        "prefect",
        "dask",
        "distributed",
        "torch",
    },
    "tasks": {"flows", "zarr", "typer", "rich"},
    "flows": {"zarr", "dask", "distributed"},
    "flows/study": {"flows.run", "flows.command", "prefect"},
    "flows/run": {"flows.command"},
}


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, anywhere in it."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules.add(str(node.module))
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


@pytest.mark.parametrize("folder", RULES)
def test_imports_go_one_way(folder: str) -> None:
    files = list((REPOSITORY / folder).rglob("*.py"))
    assert files
    for path in files:
        wrong = {
            module
            for module in imported(path)
            for forbidden in RULES[folder]
            if module == forbidden or module.startswith(f"{forbidden}.")
        }
        assert not wrong, f"{path.relative_to(REPOSITORY)} imports {sorted(wrong)}"


def test_only_storage_imports_zarr_and_only_tasks_and_flows_import_prefect() -> None:
    for path in REPOSITORY.glob("*/**/*.py"):
        folder = path.relative_to(REPOSITORY).parts[0]
        if folder not in OURS:
            continue
        roots = {module.partition(".")[0] for module in imported(path)}
        assert "zarr" not in roots or folder in {"storage", "tests", "benchmarks"}, path
        assert "prefect" not in roots or folder in {"tasks", "flows", "tests", "benchmarks"}, path


_OF_ANY_SAMPLES = ("statistics", "comparing", "networks/axes", "networks/layers.py", "networks/padding.py")


@pytest.mark.parametrize("place", _OF_ANY_SAMPLES)
def test_messages_on_what_may_be_any_samples_do_not_call_them_images(place: str) -> None:
    """But for arguments in backticks, and for an example of what belongs together."""
    whole = REPOSITORY / "spanmatch" / place
    for path in [whole] if whole.is_file() else whole.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise):
                said = " ".join(str(one.value) for one in ast.walk(node) if isinstance(one, ast.Constant))
                said = said.replace("as the positions of an image", "")
                assert not re.search(r"(?<!`)\bimages?\b(?!`)", said), f"{path}: {said}"


def test_storage_knows_no_stage() -> None:
    for path in (REPOSITORY / "storage").glob("*.py"):
        words = {
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert not words & STAGES.keys(), path


def test_only_the_command_line_imports_typer_and_rich() -> None:
    for path in (REPOSITORY / "spanmatch").rglob("*.py"):
        roots = {module.partition(".")[0] for module in imported(path)}
        assert not roots & {"typer", "rich"} or path.parent.name == "command", path


def lazy_packages() -> list[Path]:
    """Return the packages that load their names when they are asked for."""
    found = [path for path in REPOSITORY.glob("*/**/__init__.py") if "lazy(" in path.read_text("utf-8")]
    return [path for path in found if path.relative_to(REPOSITORY).parts[0] in OURS]


def test_what_a_lazy_package_loads_is_what_type_checkers_see() -> None:
    assert len(lazy_packages()) >= 6
    for path in lazy_packages():
        (block,) = [node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.If)]
        (call,) = [node for node in ast.walk(block) if isinstance(node, ast.Call)]
        loaded = {module: set(names.split()) for module, names in ast.literal_eval(call.args[1]).items()}
        seen = {
            str(node.module): {alias.asname for alias in node.names if alias.asname == alias.name}
            for node in block.body
            if isinstance(node, ast.ImportFrom)
        }
        assert loaded == seen, path
        package = import_module(".".join(path.relative_to(REPOSITORY).parent.parts))
        names = set().union(*loaded.values())
        assert all(hasattr(package, name) for name in names), path
        assert not names & {module.rpartition(".")[2] for module in loaded}, "a module would take its place"


def test_no_module_is_imported_in_a_function() -> None:
    for path in REPOSITORY.glob("*/**/*.py"):
        if path.relative_to(REPOSITORY).parts[0] in {"spanmatch", "storage", "tasks", "flows"}:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for function in ast.walk(tree):
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                    inner = [
                        each for each in ast.walk(function) if isinstance(each, ast.Import | ast.ImportFrom)
                    ]
                    assert not inner, f"{path}:{inner[0].lineno}"


def test_nothing_is_unpickled() -> None:
    for path in REPOSITORY.glob("*/**/*.py"):
        if path.relative_to(REPOSITORY).parts[0] in OURS:
            wrong = imported(path) & {"pickle", "cloudpickle", "joblib", "shelve", "marshal", "torch.load"}
            assert not wrong, f"{path} imports {wrong}"
            for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "torch.load":
                    assert "weights_only=True" in map(ast.unparse, call.keywords), path


# Where a private name of another package is used, and why.
PRIVATE = {
    "tasks/internals.py": "gathers what leans on others' internals; each part has a test of its own",
    "spanmatch/networks/axes/tracking.py": "torch names its dispatch mode, pytrees and schemas nowhere else",
    "spanmatch/networks/probing.py": "torch names its pytrees nowhere else",
    "spanmatch/networks/network_inputs.py": "torch names its pytrees nowhere else",
    "spanmatch/networks/factories.py": "torch lists repeated modules and takes compiling back nowhere else",
    "tests/deployed.py": "parses command lines as Prefect's own program does",
    "tests/test_containers.py": "asks Prefect which variables it reads",
    "tests/test_deployments.py": "reads prefect.yaml as `prefect deploy` does",
    "tests/test_forward.py": "torch tells of hooks nowhere else",
    "tests/test_compare_refusals.py": "torch tells of hooks nowhere else",
    "tests/faults_process.py": "compares what `tasks.internals` changes, before and after",
    "tests/faults_weights.py": "torch tells nowhere else whether a network is compiled",
}
DOCUMENTED = {"_fields", "_exit"}  # of a named tuple or a node of `ast`; of `os`


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in DOCUMENTED


def defined(tree: ast.AST) -> set[str]:
    """Return all names that a module defines or assigns, attributes of its own objects among them."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                names.add(name)
    return names


def private_names(tree: ast.AST) -> set[str]:
    """Return the private names that a module imports or touches, its own among them."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=found):
                names |= {part for alias in found for part in alias.name.split(".")}
            case ast.ImportFrom(module=module, names=found):
                names |= {*str(module).split("."), *(alias.name for alias in found)}
            case ast.Attribute(attr=name):
                names.add(name)
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "hasattr"), args=[_, ast.Constant(value=name), *_]
            ):
                names.add(str(name))
    return set(filter(is_private, names))


def test_private_names_of_other_packages_are_used_where_it_is_said_why() -> None:
    folders = (*OURS, "deployments")
    trees = {
        path.relative_to(REPOSITORY).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for folder in folders
        for path in (REPOSITORY / folder).rglob("*.py")
    }
    own = set().union(*map(defined, trees.values()))
    foreign = {path: found for path, tree in trees.items() if (found := private_names(tree) - own)}
    assert not {path: names for path, names in foreign.items() if path not in PRIVATE}
    assert foreign.keys() == PRIVATE.keys(), "an exception that is needed no more"


def test_modules_have_names_of_their_own() -> None:
    folders: dict[str, set[str]] = {}
    for top in set(OURS) - {"tests", "benchmarks"}:  # these are named after what they look at
        for path in (REPOSITORY / top).rglob("*.py"):
            folders.setdefault(path.stem, set()).add(path.parent.relative_to(REPOSITORY).as_posix())
    assert {name: found for name, found in folders.items() if len(found) > 1 and name != "__init__"} == {}


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after a statement."""
    code = f"{statement}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_importing_the_library_loads_the_mathematics_alone() -> None:
    assert not loaded_by("import spanmatch") & {
        "torch",
        "prefect",
        "dask",
        "distributed",
        "zarr",
        "matplotlib",
        "rich",
    }


def test_packages_load_torch_and_matplotlib_when_a_name_is_used() -> None:
    statement = (
        "from spanmatch import matching, networks, reporting; import flows.study.resolve, flows.command"
    )
    assert not loaded_by(statement) & {"torch", "sklearn", "matplotlib", "prefect"}
    assert "torch" in loaded_by("from spanmatch import networks; networks.build")


def test_dask_workers_load_neither_prefect_nor_torch_to_match() -> None:
    # a worker's process imports the command line's module, then the piece's
    assert not loaded_by("import flows.command.cli, tasks.work") & {"torch", "prefect", "matplotlib"}


def test_a_clusters_workers_do_not_load_the_program_that_starts_them(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import prefect\n"
        'MODULES = \'__import__("sys").modules.keys() & {"prefect", "torch"}\'\n'
        "from tasks.cluster import Cluster\n"
        "if __name__ == '__main__':\n"
        "    with Cluster() as cluster:\n"
        "        print(sorted(cluster.run(eval, MODULES)))\n"
        "    print(__spec__, __file__)\n"
    )
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=True, timeout=200
    )
    assert done.stdout.splitlines() == ["[]", f"None {program}"]
