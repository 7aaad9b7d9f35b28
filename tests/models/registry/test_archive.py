"""A version travels to another site as one file, whole, and counts there only if its signature is trusted."""

import io
import shutil
import tarfile

import pytest

from models.bundle import load_bundle
from models.errors import ArchiveError, BundleError, SignatureError
from models.signing import Keys
from tests.conftest import registry_in
from tests.room import no_file_beyond

EVIDENCE = {"metrics": {"test": {"images": 12}}, "golden": [1, 2]}


@pytest.fixture
def archive(own, bundles, tmp_path):
    version = own.register(bundles(1), {"auroc": 0.75}, "ann", {"dvc_lock": "sha256:1"}, EVIDENCE)
    own.export(version, tmp_path / "pneumonia.tar")
    return tmp_path / "pneumonia.tar"


@pytest.fixture
def site(tmp_path, empty_database):
    """Another site, which trusts the key of the first if told to."""
    return registry_in(tmp_path / "site", empty_database)


@pytest.fixture
def trusting(site, own, tmp_path):
    shutil.copytree(
        Keys.below(tmp_path / "registry").trusted, Keys.below(tmp_path / "site").trusted, dirs_exist_ok=True
    )
    return site


def test_a_version_arrives_with_everything_that_is_known_of_it(archive, own, trusting):
    arrived, sent = trusting.take_in(archive, "bob"), own.resolve("pneumonia", "candidate")
    assert (arrived.digest, arrived.facts, arrived.aliases) == (sent.digest, sent.facts, ("candidate",))
    assert trusting.figures(arrived) == {"auroc": 0.75}
    assert trusting.evidence(arrived) == EVIDENCE
    assert load_bundle(trusting.download(arrived)).digest == sent.digest
    (entry,) = trusting.history("pneumonia")
    assert (entry.action, entry.by, entry.reason) == ("import", "bob", "from pneumonia.tar")
    assert trusting.take_in(archive, "bob") == arrived
    assert trusting.promote(arrived, "bob").aliases == ("candidate", "production")


def test_a_site_that_does_not_trust_the_key_takes_nothing_in(archive, site):
    with pytest.raises(SignatureError, match="none of the trusted keys signed it"):
        site.take_in(archive, "bob")
    assert site.names() == []


def rewritten(archive, change):
    """The archive with each member's name and content changed."""
    with tarfile.open(archive) as tar:
        members = [(member.name, tar.extractfile(member).read()) for member in tar]
    with tarfile.open(archive, "w") as tar:
        for name, content in (change(*member) for member in members):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return archive


@pytest.mark.parametrize("name", ["bundle.json", "model.onnx", "model.keras", "gates.npz", "MODEL_CARD.md"])
def test_a_changed_file_is_found(archive, trusting, name):
    def flip(path, content):
        return path, bytes([content[0] ^ 1]) + content[1:] if path.endswith(name) else content

    with pytest.raises(BundleError):
        trusting.take_in(rewritten(archive, flip), "bob")
    assert trusting.names() == []


@pytest.mark.parametrize(
    "change",
    [
        lambda name, content: (name.replace("bundle/", "../../"), content),
        lambda name, content: (name, b"{}" if name == "version.json" else content),
        lambda name, content: (name, b"no JSON" if name == "version.json" else content),
        lambda name, content: (name.replace("version.json", "other.json"), content),
    ],
)
def test_an_archive_of_another_kind_is_refused(archive, trusting, change, tmp_path):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ArchiveError, match="Nothing was changed"):
        trusting.take_in(rewritten(archive, change), "bob")
    assert trusting.names() == []
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("content", [b"", b"no tar" * 200, None])
def test_what_is_no_archive_is_refused(trusting, tmp_path, content):
    path = tmp_path / "other.tar"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArchiveError):
        trusting.take_in(path, "bob")


def test_half_an_archive_is_refused(archive, trusting):
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises((ArchiveError, BundleError)):
        trusting.take_in(archive, "bob")
    assert trusting.names() == []


def test_a_full_disk_leaves_no_half_archive_and_the_older_one(archive, own):
    before = archive.read_bytes()
    own.download(own.resolve("pneumonia", "1"))
    with no_file_beyond(200_000), pytest.raises(ArchiveError, match="File too large"):
        own.export(own.resolve("pneumonia", "1"), archive)
    assert archive.read_bytes() == before
    assert [path.name for path in archive.parent.glob("*.part")] == []
