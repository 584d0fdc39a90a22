"""The Xcode project, Info.plist and versions; the checks of ios_demo/tools, and mutants that they must find."""

import plistlib
import re
import shutil
from pathlib import Path

import openstep
import project
import pytest

REPOSITORY = Path(__file__).parent.parent.parent
IOS_DEMO = REPOSITORY / "ios_demo"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of ios_demo that a test may damage."""
    return Path(shutil.copytree(IOS_DEMO, tmp_path / "ios_demo", ignore=shutil.ignore_patterns(".build")))


def problems(copy: Path) -> list[str]:
    folder = copy / "IGF.xcodeproj"
    return project.problems(folder / "project.pbxproj", folder / "xcshareddata/xcschemes/IGF.xcscheme")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_project_is_whole() -> None:
    assert project.problems() == []
    assert project.info_problems() == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("path = App;", "path = Application;", "Application is not in"),
        ("relativePath = IGFCore;", "relativePath = Core;", "Core/Package.swift is not in"),
        ("tools/copy_build.sh\\", "tools/copy.sh\\", "runs tools/copy.sh, which is not an executable file"),
        (
            "INFOPLIST_FILE = App/Info.plist;",
            "INFOPLIST_FILE = Info.plist;",
            "INFOPLIST_FILE: Info.plist is not",
        ),
        ("CODE_SIGN_STYLE = Automatic;", "DEVELOPMENT_TEAM = ABCDE12345;", "DEVELOPMENT_TEAM is checked in"),
        (
            "ENABLE_USER_SCRIPT_SANDBOXING = NO;",
            "ENABLE_USER_SCRIPT_SANDBOXING = YES;",
            "cannot read ../build",
        ),
        ("objectVersion = 77;", "objectVersion = 77", "cannot be read: line 7"),
    ],
)
def test_a_damaged_project_is_noticed(copy: Path, old: str, new: str, words: str) -> None:
    edit(copy / "IGF.xcodeproj/project.pbxproj", old, new)
    assert any(words in problem for problem in problems(copy)), problems(copy)


def test_an_object_that_is_gone_is_noticed(copy: Path) -> None:
    path = copy / "IGF.xcodeproj/project.pbxproj"
    objects = openstep.parse(path.read_text())["objects"]
    target = next(key for key, value in objects.items() if value["isa"] == "PBXNativeTarget")
    edit(path, f"\n\t\t{target} /*", f"\n\t\t{target[:-6]}FFFFFF /*")
    found = problems(copy)
    assert any(f"refers to {target}, which is not there" in problem for problem in found)
    assert any("IGF.xcscheme names the target" in problem for problem in found)
    assert any("nothing refers to PBXNativeTarget" in problem for problem in found)


@pytest.mark.parametrize("key", [*project.REQUIRED_KEYS, "NSCameraUsageDescription"])
def test_a_missing_key_is_noticed(tmp_path: Path, key: str) -> None:
    information = plistlib.loads(project.INFO.read_bytes())
    del information[key]
    path = tmp_path / "Info.plist"
    path.write_bytes(plistlib.dumps(information))
    assert any(key in problem for problem in project.info_problems(path))


def test_openstep_lists() -> None:
    text = '// !$*UTF8*$!\n{ a = (1, "two \\"x\\"\\n", ); /* b */ b = {}; "c d" = $(E)/f.g-h; }'
    with pytest.raises(ValueError, match="line 2"):
        openstep.parse(text)
    parsed = openstep.parse(text.replace("$(E)/f.g-h", '"$(E)/f"'))
    assert parsed == {"a": ["1", 'two "x"\n'], "b": {}, "c d": "$(E)/f"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{ a = 1; a = 2; }", "is there twice"),
        ("{ a 1; }", "'1' where '=' belongs"),
        ("( a b )", "'b' where ',' belongs"),
        ("{ a = 1;", "ends too early"),
        ("", "ends too early"),
        ("a b", "something after the end"),
        ("}", "starts no value"),
    ],
)
def test_what_is_no_openstep_list(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        openstep.parse(text)


def pinned(pattern: str) -> str:
    """What pyproject.toml has at the one group of `pattern`."""
    found = re.search(pattern, (REPOSITORY / "pyproject.toml").read_text())
    assert found
    return found[1]


def test_the_app_links_the_executorch_that_exports() -> None:
    version = pinned(r'"executorch==([\d.]+)"')
    assert f'branch = "swiftpm-{version}";' in project.PROJECT.read_text()


def test_the_app_has_the_package_s_version() -> None:
    version = pinned(r'(?m)^version = "(.*)"$')
    assert set(re.findall(r"MARKETING_VERSION = (.*);", project.PROJECT.read_text())) == {version}
