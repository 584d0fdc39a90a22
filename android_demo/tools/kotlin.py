"""Compile the Kotlin sources, and run the core's JUnit tests."""

import re
import subprocess
from pathlib import Path

import toolchain
from steps import step
from toolchain import TestsFailed

FLAGS = [
    "-jvm-target",
    "1.8",
    "-Xlambdas=class",
    "-Xsam-conversions=class",
    "-Werror",
    "-no-stdlib",
    "-no-reflect",
]
"""Java 8 class files without invokedynamic: all that the dexer takes."""

CORE = toolchain.DEMO / "core/src/main/kotlin"
CORE_TESTS = toolchain.DEMO / "core/src/test/kotlin"
APP = toolchain.DEMO / "app/src/main/kotlin"


def stdlib() -> Path:
    """The Kotlin library that our code runs with."""
    return toolchain.files("runtime")[0]


def compile_core(work: Path) -> Path:
    """core.jar."""
    return _compile(work / "core.jar", CORE, [stdlib()])


def compile_core_tests(work: Path) -> Path:
    """core-tests.jar."""
    return _compile(
        work / "core-tests.jar", CORE_TESTS, [stdlib(), compile_core(work), *toolchain.files("tests")]
    )


def compile_app(work: Path, resources: Path) -> Path:
    """app.jar, against the real framework, the runtimes' own classes and `resources`, a jar with R."""
    libraries = [folder / "classes.jar" for folder in toolchain.runtimes()]
    framework = toolchain.files("framework")
    return _compile(work / "app.jar", APP, [compile_core(work), resources, *libraries, *framework])


def run_core_tests(work: Path, vectors: Path, report: Path | None = None) -> str:
    """Run every test class of the core; JUnit's words.

    Args:
        work: where the jars go.
        vectors: the folder shared_vectors/, or a damaged copy of it.
        report: where the test of the latency report leaves its file.

    Raises:
        TestsFailed: a test failed, or none ran.
    """
    toolchain.require_java()
    jars = [compile_core(work), compile_core_tests(work), stdlib(), *toolchain.files("tests")]
    files = sorted(CORE_TESTS.rglob("*Test.kt"))
    names = [".".join(file.relative_to(CORE_TESTS).with_suffix("").parts) for file in files]
    settings = [
        f"-Digf.vectors={vectors.resolve()}",
        *([f"-Digf.report={report.resolve()}"] if report else []),
    ]
    command = ["java", *settings, "-cp", toolchain.classpath(jars), "org.junit.runner.JUnitCore", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not re.search(r"^OK \([1-9]\d* tests?\)", done.stdout, re.MULTILINE):
        raise TestsFailed((done.stdout + done.stderr).strip())
    return done.stdout


def _compile(jar: Path, sources: Path, libraries: list[Path]) -> Path:
    def make(output: Path) -> None:
        toolchain.require_java()
        compiler = toolchain.classpath(toolchain.files("compiler"))
        command = ["java", "-Xmx1g", "-cp", compiler, "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", *FLAGS]
        command += ["-classpath", toolchain.classpath(libraries), "-d", str(output), str(sources)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise toolchain.ToolError(f"kotlinc failed on {sources}:\n{done.stderr.strip()}")

    step(jar, [sources, *libraries], " ".join(FLAGS), make)
    return jar
