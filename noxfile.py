"""Everything that is checked, in fresh environments, from built wheels.

`python -m nox` runs the default sessions; `python -m nox -s demo` draws pictures.
torch and its kin cost over a gigabyte, so they are installed once, into a base environment that is
keyed by constraints.txt; sessions that need them get a thin environment of their own that sees the
base and into which only our wheels are installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import nox

ROOT = Path(__file__).parent
ENVIRONMENTS = ROOT / ".nox"
DIST = ROOT / "dist"
EXAMPLES = ROOT / "genhub-core" / "src" / "genhub" / "examples"
CONSTRAINTS = ROOT / "constraints.txt"
LOWEST = ROOT / "constraints-min.txt"
PLUGINS = ["linfusion", "litefocus", "asyncdiff", "cprocgen"]
PACKAGES = ["core", *PLUGINS]
# These need the extra [run]. Of folders with a conftest.py the last is found by `import conftest`,
# and that must be the one of execution.
HEAVY_CORE_TESTS = [
    "search",
    "rollout",
    "comm",
    "plan",
    "launch",
    "testing",
    "execution",
    "shapes",
    "report",
]
BROWSER_TESTS = "browser"  # and these Chromium
# Parts of benchmarks.
NOT_ALONE = ["baselines", "focus_unet", "machine", "procgen_worker", "two_cores"]
# What is measured by `coverage`, as coverage names it, and the tests that prove it.
MEASURED = ["*/genhub/config/*", "*/genhub/plan/*", "*/genhub/registry.py"]
LEAST_BRANCHES = 0.95
MUTATED = ["config", "plan"]
MEASURED_BY = ["config", "plan", "test_registry.py", "test_cli.py", "test_hooks.py"]

CHROMIUM = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
GET_CHROMIUM = (
    "no Chromium with its chromedriver is on the PATH. Debian and Ubuntu: apt-get install chromium "
    "chromium-driver; Fedora: dnf install chromium chromedriver; macOS: brew install --cask "
    "chromium chromedriver; or set GENHUB_CHROMIUM and GENHUB_CHROMEDRIVER to their files"
)

TOOLS = [
    *["pytest", "hypothesis", "jsonschema", "gymnasium", "scikit-image", "html5lib"],
    *["hatchling", "scikit-build-core", "nanobind", "cmake", "ninja"],  # to build wheels
]
STACK = [
    *["torch", "diffusers", "transformers", "accelerate", "safetensors"],
    *["numpy", "pillow", "rich", "jinja2", "matplotlib"],
    *["av"],  # video as MP4
    *["pluggy", "stevedore", "pydantic", "pyyaml", "packaging"],
    *["peft"],  # adapters of attached pipelines are part of the tests
    *(["triton"] if sys.platform == "linux" else []),  # its interpreter runs GPU kernels on CPUs
]

DOCS = ["mkdocs-material", "mkdocstrings[python]", "ruff"]  # ruff lays signatures out

nox.needs_version = ">=2024.4.15"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "core", "pkg", "combined"]


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types of the host, and spelling."""
    session.install("-c", str(CONSTRAINTS), "ruff", "mypy", "codespell", "pydantic", "pluggy")
    session.install("-c", str(CONSTRAINTS), "types-PyYAML")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy", "--config-file", "mypy.ini", "genhub-core/src/genhub")
    session.run("codespell", *_prose_and_code())


@nox.session
def core(session: nox.Session) -> None:
    """Test the host where torch is not installed."""
    wheels = _wheels(session, ["core"])
    session.install("-c", str(CONSTRAINTS), "pytest", "hypothesis", "jsonschema", *wheels)
    session.install("--force-reinstall", "--no-deps", *wheels)
    tests = _tests_elsewhere(session, "genhub-core")
    for name in [*HEAVY_CORE_TESTS, BROWSER_TESTS]:
        shutil.rmtree(tests / name)
    session.chdir(tests)
    _pytest(session, "python", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Read 10,000 mutated configs, of which `core` reads 1,500."""
    wheels = _wheels(session, ["core"])
    session.install("-c", str(CONSTRAINTS), "pytest", "hypothesis", *wheels)
    session.install("--force-reinstall", "--no-deps", *wheels)
    session.chdir(_tests_elsewhere(session, "genhub-core") / "config")
    _pytest(session, "python", "test_mutations.py", env={"GENHUB_FUZZ": "1"})


@nox.session(venv_backend="none")
@nox.parametrize("name", [nox.param(name, id=name) for name in PACKAGES])
def pkg(session: nox.Session, name: str) -> None:
    """Test one package beside the host, both from wheels."""
    python = _thin(session, name, sorted({"core", name}))
    tests = _tests_elsewhere(session, f"genhub-{name}")
    session.chdir(tests)
    chosen = HEAVY_CORE_TESTS if name == "core" else []
    source = {"GENHUB_CPROCGEN_SOURCE": str(ROOT / "genhub-cprocgen")}  # its C++ tests are built
    _pytest(session, python, *chosen, *session.posargs, env=source)


@nox.session(venv_backend="none")
def combined(session: nox.Session) -> None:
    """Test all packages together: combinations, packaging, examples."""
    python = _thin(session, "combined", PACKAGES)
    tests = _tests_elsewhere(session, ".")
    for name in ("docs", "benchmarks/results"):
        shutil.copytree(ROOT / name, tests.parent / name, dirs_exist_ok=True)
    for name in ("mkdocs.yml", "README.md"):
        shutil.copy(ROOT / name, tests.parent)
    session.chdir(tests)
    environment = {"GENHUB_WHEELS": str(DIST), "GENHUB_BASE": str(_base(session))}
    _pytest(session, python, "--ignore", "gpu", *session.posargs, env=environment)


@nox.session(venv_backend="none")
def browser(session: nox.Session) -> None:
    """Drive the pages of runs in headless Chromium, and keep screenshots of them."""
    chromium = os.environ.get("GENHUB_CHROMIUM") or _first_of(CHROMIUM)
    chromedriver = os.environ.get("GENHUB_CHROMEDRIVER") or shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        session.error(GET_CHROMIUM)
    python = _thin(session, "browser", ["core"])
    session.run(*_into(session, python), "selenium", external=True)
    tests = _tests_elsewhere(session, "genhub-core")
    screenshots = tests.parent / "screenshots"
    session.chdir(tests)
    environment = {
        "GENHUB_CHROMIUM": chromium,
        "GENHUB_CHROMEDRIVER": chromedriver,
        "GENHUB_SCREENSHOTS": str(screenshots),
    }
    _pytest(session, python, BROWSER_TESTS, *session.posargs, env=environment)
    session.log(f"screenshots to look at: {screenshots}")


@nox.session(venv_backend="none")
def coverage(session: nox.Session) -> None:
    """Fail where tests take fewer branches of config, plan or registry than they must."""
    python = _thin(session, "coverage", ["core"])
    session.run(*_into(session, python), "coverage", external=True)
    session.chdir(_tests_elsewhere(session, "genhub-core"))
    settings = ["--rcfile", str(ROOT / "genhub-core" / "pyproject.toml")]
    environment = {"OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    measure = [python, "-m", "coverage", "run", *settings, "-m", "pytest", "-q"]
    session.run(*measure, *MEASURED_BY, *session.posargs, env=environment, external=True)
    for files in MEASURED:
        report = [python, "-m", "coverage", "report", *settings, "--include", files]
        session.run(*report, external=True)
        found = [python, "-m", "coverage", "json", *settings, "--include", files, "-q", "-o", "-"]
        totals = json.loads(session.run(*found, external=True, silent=True))["totals"]
        share = totals["covered_branches"] / totals["num_branches"]
        session.log(f"{files}: {share:.1%} of the branches are taken")
        if share < LEAST_BRANCHES:
            session.error(f"fewer than {LEAST_BRANCHES:.0%} of the branches of {files} are taken")


@nox.session(venv_backend="none")
def mutation(session: nox.Session) -> None:
    """Count the mutants of config and plan that tests kill: `-- plan --sample 300 --seed 1`."""
    python = _thin(session, "mutation", ["core"])
    session.run(*_into(session, python), "mutmut", external=True)
    program = str(ROOT / "genhub-core" / "tests" / "mutation.py")
    chosen = [session.posargs] if session.posargs else [[p, "--sample", "400"] for p in MUTATED]
    for arguments in chosen:
        session.run(python, program, *arguments, external=True)


@nox.session(venv_backend="none")
def demo(session: nox.Session) -> None:
    """Draw captions with the embedded model, with softmax and with linear attention."""
    python = _thin(session, "demo", PACKAGES)
    genhub = str(Path(python).parent / "genhub")
    session.run(genhub, "run", str(EXAMPLES / "quickstart.yaml"), external=True)
    session.run(
        *[genhub, "run", str(EXAMPLES / "linear.yaml")],
        *["--set", f"input.prompts={EXAMPLES / 'demo-prompts.txt'}"],
        *["--set", "sampling.samples=1"],
        external=True,
    )


@nox.session(venv_backend="none")
def examples(session: nox.Session) -> None:
    """Run every example at its full size."""
    python = _thin(session, "demo", PACKAGES)
    for path in sorted(EXAMPLES.glob("*.yaml")):
        session.run(str(Path(python).parent / "genhub"), "run", str(path), external=True)
    session.run(*_into(session, python), "stable-baselines3", external=True)
    program = ROOT / "examples" / "procgen_train.py"
    learnt = ROOT / "build" / "procgen-train"
    session.run(python, str(program), "--output", str(learnt), external=True)


@nox.session(venv_backend="none")
def sanitize(session: nox.Session) -> None:
    """Play the games' engine at random under sanitizers: `-- 1000` for fewer configurations."""
    count = int(session.posargs[0]) if session.posargs else 100_000
    build = ROOT / "genhub-cprocgen" / "build"
    sanitized, threads, plain = build / "sanitize", build / "sanitize-threads", build / "plain"
    for folder, sanitizers in (
        (sanitized, "address,undefined,float-cast-overflow"),
        (threads, "thread"),
        (plain, ""),
    ):
        options = ["CPROCGEN_PYTHON=OFF", "CPROCGEN_TESTS=ON", f"CPROCGEN_SANITIZE={sanitizers}"]
        options += ["CMAKE_BUILD_TYPE=RelWithDebInfo", f"Python_EXECUTABLE={sys.executable}"]
        settings = [f"-D{option}" for option in options]
        source = ["-S", str(ROOT / "genhub-cprocgen"), "-B", str(folder)]
        session.run("cmake", *source, *settings, external=True)
        session.run("cmake", "--build", str(folder), "--parallel", "2", external=True)
    for folder in (sanitized, threads):
        for program in sorted(folder.glob("*_test")):
            session.run(str(program), external=True)
    session.run(str(sanitized / "cprocgen_fuzz"), "configurations", str(count), external=True)
    session.run(str(threads / "cprocgen_fuzz"), "threads", str(count // 100), external=True)
    session.run(str(plain / "cprocgen_fuzz"), "memory", str(100 * count), external=True)


@nox.session(venv_backend="none", name="min")
def lowest(session: nox.Session) -> None:
    """Test with the lowest versions that the packages declare, torch aside."""
    for name in PACKAGES:
        python = _thin(session, f"min-{name}", sorted({"core", name}), LOWEST)
        session.chdir(_tests_elsewhere(session, f"genhub-{name}"))
        _pytest(session, python, *session.posargs)


@nox.session(venv_backend="none")
def sdist(session: nox.Session) -> None:
    """Build each wheel from its source archive, and hold it against the one built from here."""
    base = str(_base(session))
    python = _thin(session, "sdist", [])
    pip = [base, "-m", "pip", "--python", python, "install", "--quiet", "-c", str(CONSTRAINTS)]
    session.run(*pip, "build", "twine", external=True)
    for name in PACKAGES:
        folder = DIST / "from-sdist" / name
        shutil.rmtree(folder, ignore_errors=True)
        build = [python, "-m", "build", "--no-isolation", "--outdir", str(folder)]
        session.run(*build, str(ROOT / f"genhub-{name}"), external=True)  # by way of the archive
        [archive], [wheel] = folder.glob("*.tar.gz"), folder.glob("*.whl")
        session.run(python, "-m", "twine", "check", "--strict", *map(str, (archive, wheel)))
        [direct] = _wheels(session, [name])
        lost = _content(Path(direct)) ^ _content(wheel)
        if lost:
            session.error(f"the archive of genhub-{name} makes another wheel: {sorted(lost)}")


@nox.session(venv_backend="none")
def editable(session: nox.Session) -> None:
    """Install the packages as those who change them do, and look the installation over."""
    python = _thin(session, "editable", [])
    folders = [argument for name in PACKAGES for argument in ("-e", str(ROOT / f"genhub-{name}"))]
    session.run(*_into(session, python), "editables", external=True)
    no_more = ["--no-deps", "--no-build-isolation"]
    session.run(*_into(session, python), *no_more, *folders, external=True)
    session.run(python, "-m", "genhub.cli", "doctor", external=True)


@nox.session(venv_backend="none")
def docs(session: nox.Session) -> None:
    """Build the pages into build/site; a broken link or an undescribed name is an error."""
    python = _thin(session, "docs", PACKAGES)
    pip = [str(_base(session)), "-m", "pip", "--python", python, "install", "--quiet"]
    session.run(*pip, "-c", str(CONSTRAINTS), *DOCS, external=True)
    session.run(
        *[python, "-m", "mkdocs", "build", "--strict"],
        *["--config-file", str(ROOT / "mkdocs.yml")],
        env={"NO_MKDOCS_2_WARNING": "1", "COLUMNS": "90", "HF_HUB_OFFLINE": "1"},
        external=True,
    )


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Run the benchmarks and store their figures; arguments name some of them."""
    python = _thin(session, "bench", PACKAGES)
    every = [path.stem for path in sorted((ROOT / "benchmarks").glob("*.py"))]
    chosen = session.posargs or [n for n in every if n not in NOT_ALONE]
    for name in chosen:
        session.run(python, str(ROOT / "benchmarks" / f"{name}.py"), external=True)


@nox.session
def parity(session: nox.Session) -> None:
    """Step the benchmark library beside genhub-cprocgen: 10,000 steps of every game and mode.

    Needs a Python for which procgen-mirror has wheels. Arguments are those of the tool:
    `-- --games maze --modes easy --steps 100000 --seed 7`.
    """
    session.install("procgen-mirror", "numpy<2")
    reference = str(Path(session.bin) / "python")
    python = _thin(session, "parity", ["core", "cprocgen"])
    tool = _tests_elsewhere(session, "genhub-cprocgen") / "live" / "parity.py"
    command = [python, str(tool), "--reference", reference, *session.posargs]
    session.run(*command, env={"PYTHONPATH": "", "OMP_NUM_THREADS": "1"}, external=True)


@nox.session(venv_backend="none")
def gpu(session: nox.Session) -> None:
    """Test what needs a CUDA device."""
    python = _thin(session, "gpu", PACKAGES)
    code = "import torch; print(torch.version.cuda, torch.cuda.device_count())"
    built, devices = session.run(python, "-c", code, external=True, silent=True).split()
    if devices == "0":
        session.skip(
            "nothing to do: this torch was built without CUDA"
            if built == "None"
            else f"nothing to do: torch for CUDA {built} sees no device"
        )
    session.chdir(_tests_elsewhere(session, "."))
    _pytest(session, python, "gpu", *session.posargs)


def _content(wheel: Path) -> set[tuple[str, int]]:
    """List the names and checksums of a wheel's files, those of its own metadata aside."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            (f.filename, f.CRC) for f in archive.infolist() if "dist-info/RECORD" not in f.filename
        }


def _wheels(session: nox.Session, names: list[str]) -> list[str]:
    """Build the wheels of packages and give their paths."""
    base = _base(session)
    built = []
    for name in names:
        folder = DIST / name
        shutil.rmtree(folder, ignore_errors=True)
        session.run(
            *[str(base), "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"],
            *["--wheel-dir", str(folder), str(ROOT / f"genhub-{name}")],
            external=True,
        )
        built += [str(path) for path in folder.glob("*.whl")]
    return built


def _base(session: nox.Session, constraints: Path = CONSTRAINTS) -> Path:
    """Give the interpreter of the base environment, made when its constraints are new."""
    key = hashlib.sha256(constraints.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = ENVIRONMENTS / f"base-{key}"
    python = _interpreter(folder)
    if not (folder / "complete").exists():
        session.log("installing torch and its kin once (about 1.3 GB with the CPU build)")
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "-c", str(constraints)]
        session.run(*install, *TOOLS, *STACK, external=True)
        (folder / "complete").touch()
    return python


def _thin(
    session: nox.Session, name: str, packages: list[str], constraints: Path = CONSTRAINTS
) -> str:
    """Make an environment that sees the base and holds our wheels; give its interpreter."""
    base = _base(session, constraints)
    folder = ENVIRONMENTS / f"thin-{name}"
    venv.create(folder, with_pip=False, clear=True)
    python = _interpreter(folder)
    site = _site_packages(python)
    (site / "base.pth").write_text(f"{_site_packages(base)}\n", encoding="utf-8")
    if packages:
        install = [*_pip(session, str(python)), "install", "--quiet", "--no-deps"]
        session.run(*install, *_wheels(session, packages), external=True)
    session.run(str(python), str(ROOT / "tests" / "declared_dependencies.py"), external=True)
    return str(python)


def _into(session: nox.Session, python: str) -> list[str]:
    """Give the command that installs what follows into an environment."""
    return [*_pip(session, python), "install", "--quiet", "-c", str(CONSTRAINTS)]


def _pip(session: nox.Session, python: str) -> list[str]:
    """Give the base's pip, at work on another environment."""
    return [str(_base(session)), "-m", "pip", "--python", python]


def _first_of(commands: list[str]) -> str | None:
    return next((found for found in map(shutil.which, commands) if found), None)


def _interpreter(folder: Path) -> Path:
    return folder / ("Scripts" if os.name == "nt" else "bin") / "python"


def _site_packages(python: Path) -> Path:
    code = "import json, sysconfig; print(json.dumps(sysconfig.get_path('purelib')))"
    return Path(json.loads(subprocess.check_output([str(python), "-c", code])))


def _tests_elsewhere(session: nox.Session, package: str) -> Path:
    """Copy a package's tests away from the source tree, so that only wheels can be imported."""
    folder = Path(session.create_tmp()).resolve() / "tests"
    shutil.rmtree(folder, ignore_errors=True)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / package / "tests", folder, ignore=ignore)
    return folder


def _pytest(
    session: nox.Session, python: str, *arguments: str, env: dict[str, str] | None = None
) -> None:
    threads = {"OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    options = ["-q", "--strict-markers", "-p", "no:cacheprovider", "--durations", "8"]
    session.run(
        *[python, "-m", "pytest", *options, *arguments],
        env={**threads, **(env or {})},
        external=True,
    )


def _prose_and_code() -> list[str]:
    """List what is spelt with care: all but the tests, which misspell on purpose."""
    listed = ["git", "ls-files", "*.py", "*.md", "*/examples/*.yaml"]
    paths = subprocess.check_output(listed, cwd=ROOT, text=True).split()
    return [path for path in paths if "/tests/" not in path]
