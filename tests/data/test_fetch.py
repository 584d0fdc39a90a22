import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from drawn_pictures import make_source

from igf_mobile.data import fetch as fetching
from igf_mobile.data.fetch import archive_path, download, extract, fetch, is_extracted
from igf_mobile.data.sources import Source
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.files import sha256_of


def tarball(path: Path, names: list[str]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"data"))
    return sha256_of(path)


def npm_source(sha256: str) -> Source:
    return make_source("@scope/pictures", "foreground", kind="npm", sha256=sha256, drop=("*icon*",))


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """In place of npm: it 'downloads' a tarball made here; the calls are recorded."""
    made = tmp_path / "made.tgz"
    tarball(made, ["package/a.png", "package/icon.png", "package/readme.md"])
    calls: list[list[str]] = []

    def run(command: list[str], folder: Path, source: Source) -> None:
        calls.append(command)
        (folder / "scope-pictures-1.tgz").write_bytes(made.read_bytes())

    monkeypatch.setattr(fetching, "_run", run)
    monkeypatch.setattr(fetching, "missing_client", lambda source: None)
    return calls


def test_fetches_verifies_extracts_and_then_does_nothing(tmp_path: Path, client: list[list[str]]) -> None:
    source = npm_source(sha256_of(tmp_path / "made.tgz"))
    root = tmp_path / "root"
    assert fetch(root, [source]) == [source]
    folder = root / "raw" / "scope-pictures"
    assert sorted(p.name for p in folder.rglob("*.*") if p.is_file()) == [".extracted", "a.png"]
    fetch(root, [source])
    assert client == [["npm", "pack", "--ignore-scripts", "@scope/pictures@1"]]


def test_new_patterns_extract_again_from_the_kept_archive(tmp_path: Path, client: list[list[str]]) -> None:
    sha256 = sha256_of(tmp_path / "made.tgz")
    extract(tmp_path, npm_source(sha256))
    changed = make_source("@scope/pictures", "foreground", kind="npm", sha256=sha256, take=("*icon.png",))
    assert not is_extracted(tmp_path, changed)
    assert (extract(tmp_path, changed) / "package" / "icon.png").is_file()
    assert len(client) == 1


def test_wrong_checksum_is_one_clear_error_and_leaves_nothing(
    tmp_path: Path, client: list[list[str]]
) -> None:
    source = npm_source("f" * 64)
    with pytest.raises(DamagedFile, match=r"@scope/pictures 1.*SHA-256 [0-9a-f]{64}, not f{64}"):
        download(tmp_path, source)
    assert not archive_path(tmp_path, source).exists()


def test_damaged_kept_archive_is_downloaded_again(tmp_path: Path, client: list[list[str]]) -> None:
    source = npm_source(sha256_of(tmp_path / "made.tgz"))
    kept = download(tmp_path, source)
    kept.write_bytes(kept.read_bytes()[:50])
    assert sha256_of(download(tmp_path, source)) == source.sha256
    assert len(client) == 2


def test_failing_client_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = subprocess.CompletedProcess([], 1, "", "npm notice\nnpm error 404 no such package")
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: said)
    with pytest.raises(IgfError, match=r"cannot download @scope/pictures 1: npm said: npm error 404"):
        download(tmp_path, npm_source("0" * 64))


def test_missing_client_skips_the_source_with_its_reason(
    tmp_path: Path,
    client: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    debian = make_source("only-on-debian", "foreground")
    lacks = {"only-on-debian": "apt-get"}
    monkeypatch.setattr(fetching, "missing_client", lambda source: lacks.get(source.name))
    source = npm_source(sha256_of(tmp_path / "made.tgz"))
    assert fetch(tmp_path / "root", [debian, source]) == [source]
    assert "skipped only-on-debian: it needs apt-get" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(IgfError, match="no foreground source"):
        fetch(tmp_path / "root", [debian])
