"""Fetching: from folders, archives, web servers and S3, good and bad, to a folder of zip archives."""

import errno
import hashlib
import io
import tarfile
import zipfile
import zlib

import numpy as np
import pytest

from models.errors import DataError, OriginError, RawDataMissingError
from pipelines import archives, fetching, origins
from pipelines.fetching import Fetched, fetch
from pipelines.raw import RawFiles
from pipelines.sources.source import Source
from tests.pipelines.test_origins import CARD
from tests.remotes import put, serving, write

MIB = 2**20
IMAGES = {
    "Data_Entry.csv": b"Image Index,Finding Labels\n",
    "images/00000001_000.png": b"one",
    "images/00000001_001.png": b"",
    "images/Überblick 2.png": b"two",
}


class Nih(Source):
    name = "nih"
    findings = ()
    images = ("*.png",)
    required = ("*.PNG",)

    def rows(self, raw, card):
        yield from ()


@pytest.fixture
def raw(tmp_path):
    """Where the source's files are to be, with what an earlier fetch left there."""
    return write(tmp_path / "raw/nih", **{"old.zip": b"old"})


@pytest.fixture
def small_reads(monkeypatch):
    """What a connection has received but not handed on is lost when it breaks: at most a read or two."""
    monkeypatch.setattr(origins, "CHUNK", 2**16)


def bring(origin, raw, card=CARD, checksum=None):
    return fetch(Nih(), card, str(origin), raw, checksum)


def held(raw):
    """The archives of a fetched folder, and every file as `RawFiles` shows it."""
    files = RawFiles(raw)
    archives = sorted(path.relative_to(raw).as_posix() for path in raw.rglob("*") if path.is_file())
    return archives, {path: files.read(path) for path in files.paths}


def is_untouched(raw):
    return [path.name for path in raw.iterdir()] == ["old.zip"] and (raw / "old.zip").read_bytes() == b"old"


def zipped(files, compression=zipfile.ZIP_DEFLATED):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return packed.getvalue()


def tarred(files, mode="w", **kinds):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for path, kind in kinds.items():
            member = tarfile.TarInfo(path)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    return packed.getvalue()


def gets(site):
    return [(path, wanted) for method, path, wanted in site.asked if method == "GET"]


def noise(size, seed=1):
    return np.random.default_rng(seed).bytes(size)


# What is left


def test_a_folder_is_packed_and_shows_the_same_paths_with_the_same_bytes(tmp_path, raw):
    assert bring(write(tmp_path / "origin", **IMAGES), raw) == Fetched(files=4, bytes=33, verified=0, left_out=0)
    assert held(raw) == (["files-00000.zip"], IMAGES)
    assert [path.name for path in raw.parent.iterdir()] == ["nih"]
    with zipfile.ZipFile(raw / "files-00000.zip") as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_same_files_give_the_same_bytes(tmp_path, raw):
    bring(write(tmp_path / "origin", **IMAGES), raw)
    other = dict(reversed(IMAGES.items()))
    bring(write(tmp_path / "copy", **other), tmp_path / "raw/again")
    assert (raw / "files-00000.zip").read_bytes() == (tmp_path / "raw/again/files-00000.zip").read_bytes()


def test_loose_files_fill_parts_of_so_many_files_or_bytes(tmp_path, raw, monkeypatch):
    monkeypatch.setattr(fetching, "FILES_A_PART", 3)
    monkeypatch.setattr(fetching, "BYTES_A_PART", 10)
    files = {
        "1.png": b"1" * 4,
        "2.png": b"2" * 6,
        "3.png": b"3" * 11,
        "4.png": b"",
        "5.png": b"",
        "6.png": b"",
        "7": b"",
    }
    bring(write(tmp_path / "origin", **files), raw)
    archives, shown = held(raw)
    assert shown == files
    assert archives == [f"files-0000{number}.zip" for number in range(4)]
    parts = [zipfile.ZipFile(raw / name).namelist() for name in archives]
    assert parts == [["1.png", "2.png"], ["3.png"], ["4.png", "5.png", "6.png"], ["7"]]


def test_a_zip_archive_stays_byte_for_byte(tmp_path, raw):
    archive = zipped(IMAGES)
    write(tmp_path, **{"Images 1.ZIP": archive})
    assert bring(tmp_path / "Images 1.ZIP", raw) == Fetched(files=4, bytes=33, verified=0, left_out=0)
    assert held(raw) == (["Images 1.ZIP"], IMAGES)
    assert (raw / "Images 1.ZIP").read_bytes() == archive


@pytest.mark.parametrize(("name", "mode"), [("i.tar", "w"), ("i.tar.gz", "w:gz"), ("i.tgz", "w:gz"), ("i.tar", "w:gz")])
def test_a_tar_archive_becomes_a_stored_zip_archive_of_its_name(tmp_path, raw, name, mode):
    write(tmp_path, **{name: tarred({f"./{path}": data for path, data in IMAGES.items()}, mode)})
    assert bring(tmp_path / name, raw) == Fetched(files=4, bytes=33, verified=0, left_out=0)
    assert held(raw) == (["i.zip"], IMAGES)
    with zipfile.ZipFile(raw / "i.zip") as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


def test_archives_in_a_folder_stay_where_they_are_and_the_rest_is_packed(tmp_path, raw):
    archives = {
        "parts/images_001.zip": zipped({"images/1.png": b"one"}),
        "parts/images_002.tar.gz": tarred({"images/2.png": b"two"}, "w:gz"),
    }
    write(tmp_path / "origin", **archives, **IMAGES, **{".DS_Store": b"?"})
    assert bring(tmp_path / "origin", raw) == Fetched(files=6, bytes=39, verified=0, left_out=1)
    assert held(raw) == (
        ["files-00000.zip", "parts/images_001.zip", "parts/images_002.zip"],
        IMAGES | {"parts/images/1.png": b"one", "parts/images/2.png": b"two"},
    )


def test_what_was_fetched_can_be_fetched_from_there(tmp_path, raw):
    bring(write(tmp_path / "origin", **IMAGES), raw)
    bring(raw, tmp_path / "raw/again")
    assert held(tmp_path / "raw/again") == (["files-00000.zip"], IMAGES)
    write(raw, **{"more.csv": b"more"})
    bring(raw, raw)
    assert held(raw) == (["files-00000.zip", "files-00001.zip"], IMAGES | {"more.csv": b"more"})


def test_archives_of_one_name_do_not_take_each_others_place(tmp_path, raw):
    archives = {"i.zip": zipped({"1.png": b"1"}), "i.tar": tarred({"2.png": b"2"}), "i.tgz": tarred({"3.png": b"3"})}
    bring(write(tmp_path / "origin", **archives), raw)
    assert held(raw) == (["i.tar.zip", "i.tgz.zip", "i.zip"], {"1.png": b"1", "2.png": b"2", "3.png": b"3"})


def test_two_files_at_one_path_are_refused_unless_they_are_the_same(tmp_path, raw):
    origin = write(tmp_path / "origin", **{"1.zip": zipped({"a.png": b"a"}), "2.zip": zipped({"a.png": b"a"})})
    assert bring(origin, raw).files == 1
    write(origin, **{"2.zip": zipped({"a.png": b"b"})})
    with pytest.raises(OriginError, match=r"expected one file at a\.png, but 2\.zip holds another"):
        bring(origin, raw)
    assert held(raw)[1] == {"a.png": b"a"}


def test_a_prefix_of_s3_is_packed_and_its_archives_stay(bucket, raw):
    archive = zipped({"4.png": b"four"})
    put(bucket, **{f"nih/{path}": data for path, data in IMAGES.items()}, **{"nih/more/4.zip": archive})
    assert bring("s3://hospital/nih", raw) == Fetched(files=5, bytes=37, verified=0, left_out=0)
    assert held(raw) == (["files-00000.zip", "more/4.zip"], IMAGES | {"more/4.png": b"four"})
    assert (raw / "more/4.zip").read_bytes() == archive


def test_one_archive_of_s3_is_fetched_in_ranges(bucket, raw, monkeypatch):
    monkeypatch.setattr(origins, "CHUNK", 1000)
    archive = zipped({"1.png": noise(5000)})
    put(bucket, **{"nih/images.zip": archive})
    bring("s3://hospital/nih/images.zip", raw)
    assert (raw / "images.zip").read_bytes() == archive


@pytest.mark.parametrize("ranges", [True, False])
def test_an_archive_and_a_single_file_come_from_the_web_and_no_secret_is_left(raw, ranges):
    with serving({"/a/images.tar": tarred(IMAGES), "/one%20x.png": b"one"}, ranges=ranges) as site:
        bring(f"{site.address}/a/images.tar?token=secret", raw)
        assert held(raw) == (["images.zip"], IMAGES)
        bring(f"{site.address}/one%20x.png?token=secret", raw)
    assert held(raw) == (["files-00000.zip"], {"one x.png": b"one"})
    assert b"secret" not in (raw / "files-00000.zip").read_bytes()


# What is refused

CLIMBING = ["../evil.png", "images/../../evil.png", "/etc/evil.png", "C:/evil.png", "C:evil.png", "images\\evil.png"]


@pytest.mark.parametrize("path", CLIMBING)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_member_that_leads_elsewhere_is_refused_by_name(tmp_path, raw, path, pack):
    name = f"images.{pack.__name__.removesuffix('ped').removesuffix('red')}"
    write(tmp_path, **{name: pack({"1.png": b"one", path: b"evil"})})
    with pytest.raises(OriginError) as caught:
        bring(tmp_path / name, raw)
    assert repr(path) in str(caught.value)
    assert name in str(caught.value)
    assert is_untouched(raw)
    assert [found.name for found in tmp_path.rglob("*evil*")] == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_a_link_or_a_device_in_a_tar_archive_is_refused(tmp_path, raw, kind):
    write(tmp_path, **{"i.tar": tarred({"1.png": b"one"}, **{"evil.png": kind})})
    with pytest.raises(OriginError, match=r"evil\.png is a link or a device"):
        bring(tmp_path / "i.tar", raw)
    assert is_untouched(raw)


def test_a_link_in_a_zip_archive_is_refused(tmp_path, raw):
    with zipfile.ZipFile(tmp_path / "i.zip", "w") as archive:
        link = zipfile.ZipInfo("evil.png")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(OriginError, match=r"evil\.png is a link or a device"):
        bring(tmp_path / "i.zip", raw)


@pytest.mark.parametrize(
    ("name", "pack"),
    [("i.zip", zipped), ("i.tgz", lambda files: tarred(files, "w:gz"))],
)
def test_an_archive_that_unpacks_to_over_a_hundred_times_its_size_is_refused(tmp_path, raw, monkeypatch, name, pack):
    write(tmp_path, **{name: pack({"1.png": bytes(8 * MIB)})})
    bring(tmp_path / name, raw)  # one of a GiB at most may
    monkeypatch.setattr(archives, "_UNPACKED_BYTES", MIB)
    with pytest.raises(OriginError, match=f"expected {name} to unpack to at most 1048576 bytes, but it says 8388608"):
        bring(tmp_path / name, tmp_path / "raw/again")
    assert not (tmp_path / "raw/again").exists()


def test_a_member_that_is_larger_than_it_says_is_refused(tmp_path, raw):
    # Size and checksum are those of its first byte: whoever stops reading there finds nothing wrong.
    data = bytes(MIB)
    honest = zipped({"1.png": data})
    size, crc = ((value).to_bytes(4, "little") for value in (len(data), zlib.crc32(data)))
    lying = honest.replace(size, (1).to_bytes(4, "little")).replace(crc, zlib.crc32(data[:1]).to_bytes(4, "little"))
    assert zipfile.ZipFile(io.BytesIO(lying)).testzip() is None
    write(tmp_path, **{"i.zip": lying})
    with pytest.raises(OriginError, match=r"expected i\.zip to be a whole archive"):
        bring(tmp_path / "i.zip", raw)
    assert is_untouched(raw)


def test_an_encrypted_zip_archive_is_refused(tmp_path, raw):
    archive = bytearray(zipped({"1.png": b"one"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        archive[archive.index(signature) + offset] |= 1
    write(tmp_path, **{"i.zip": bytes(archive)})
    with pytest.raises(OriginError, match=r"1\.png is encrypted"):
        bring(tmp_path / "i.zip", raw)


def torn_header():
    archive = bytearray(tarred({"1.png": b"one", "2.png": b"two", "3.png": b"three"}))
    archive[1024:1030] = b"torn!!"  # the name of the second, so that its header's checksum is wrong
    return bytes(archive)


def flipped():
    archive = bytearray(zipped({"1.png": noise(1000)}, zipfile.ZIP_STORED))
    archive[500] ^= 1
    return bytes(archive)


@pytest.mark.parametrize(
    ("name", "torn"),
    [
        ("i.zip", zipped(IMAGES)[:-30]),
        ("i.zip", zipped({"1.png": noise(1000)})[200:]),
        ("i.zip", flipped()),
        ("i.zip", b"<html>Please log in</html>"),
        ("i.zip", b""),
        ("i.tar", tarred({"1.png": noise(1000)})[:1200]),
        ("i.tar", tarred({"1.png": noise(512), "2.png": noise(512)})[:1024]),
        ("i.tar", torn_header()),
        ("i.tar", b"<html>Please log in</html>"),
        ("i.tar", b""),
        ("i.tgz", tarred({"1.png": noise(1000)}, "w:gz")[:-300]),
        ("i.tgz", tarred({"1.png": noise(1000)}, "w:gz")[:-1]),
    ],
)
def test_a_torn_archive_is_refused_and_fetched_anew_by_the_next_call(tmp_path, raw, name, torn):
    with serving({f"/{name}": torn}) as site:
        for _ in range(2):
            with pytest.raises(OriginError, match=f"expected {name} to be a whole archive, but"):
                bring(f"{site.address}/{name}", raw)
    assert is_untouched(raw)
    assert gets(site) == ([(f"/{name}", None)] * 2 if torn else [])


def test_a_path_twice_in_a_tar_archive_is_refused(tmp_path, raw):
    write(tmp_path, **{"i.tar": tarred({"1.png": b"one", "./1.png": b"two"})})
    with pytest.raises(OriginError, match=r"expected one 1\.png in i\.tar, but there are two"):
        bring(tmp_path / "i.tar", raw)


def test_a_folder_of_something_else_is_refused_before_anything_is_copied(tmp_path, raw):
    with pytest.raises(RawDataMissingError) as caught:
        bring(write(tmp_path / "origin", **{"notes.txt": b"?"}), raw)
    assert str(caught.value) == (
        f"Expected *.PNG under {tmp_path}/origin, but found none. Name the folder that holds it with --from."
    )
    assert is_untouched(raw)
    assert [path.name for path in raw.parent.iterdir()] == ["nih"]


def test_an_archive_of_something_else_replaces_nothing(tmp_path, raw):
    write(tmp_path, **{"i.zip": zipped({"notes.txt": b"?"})})
    with pytest.raises(RawDataMissingError, match=r"Expected \*\.PNG under"):
        bring(tmp_path / "i.zip", raw)
    assert is_untouched(raw)


# Checksums


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def test_files_and_archives_are_verified_and_counted(tmp_path, raw):
    one, two = zipped({"1.png": b"one"}), tarred({"2.png": b"two"})
    sums = f"{sha256(one)}  1.zip\n{sha256(two)} *a/2.tar\n{sha256(b'three')}  ./3.png\n{sha256(b'?')}  gone.png\n"
    origin = write(
        tmp_path / "origin",
        **{"1.zip": one, "a/2.tar": two, "3.png": b"three", "4.png": b"", "SHA256SUMS": sums.encode()},
    )
    assert bring(origin, raw).verified == 3
    card = CARD.model_copy(update={"checksums": {"4.png": "md5:d41d8cd98f00b204e9800998ecf8427e"}})
    assert bring(origin, raw, card).verified == 4
    assert bring(origin / "1.zip", raw, checksum=f"sha256:{sha256(one)}").verified == 1


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("1.zip", zipped({"1.png": b"one"}), zipped({"1.png": b"two"})),
        ("1.tar", tarred({"1.png": b"one"}), tarred({"1.png": b"two"})),
        ("1.png", b"one", b"two"),
    ],
)
def test_another_checksum_is_refused_and_the_part_fetched_anew(raw, name, good, bad):
    with serving({f"/{name}": bad}) as site:
        address, checksum = f"{site.address}/{name}", f"sha256:{sha256(good)}"
        with pytest.raises(OriginError) as caught:
            bring(address, raw, checksum=checksum)
        assert str(caught.value) == (
            f"{address}: expected {name} with {checksum}, but received sha256:{sha256(bad)}. "
            "Run the command again to fetch it anew, or ask its publisher."
        )
        assert is_untouched(raw)
        site.files[f"/{name}"] = good
        assert bring(address, raw, checksum=checksum).verified == 1
    assert held(raw)[1] == {"1.png": b"one"}


# Going on


def half_of(raw):
    (half,) = (raw.parent / ".nih.partial").glob("*.half")
    return half.read_bytes()


def test_a_fetch_that_broke_off_goes_on_at_its_byte(raw, small_reads):
    archive = zipped({"1.png": noise(3 * MIB)})
    with serving({"/i.zip": archive}) as site:
        site.cut = 2 * MIB
        with pytest.raises(OriginError, match=r"Not enough data .* it goes on where it stopped\.$"):
            bring(f"{site.address}/i.zip?token=old", raw)
        assert is_untouched(raw)
        begun = len(half_of(raw))
        assert MIB < begun <= 2 * MIB
        assert half_of(raw) == archive[:begun]
        # Another signature in the address is still the same origin.
        bring(f"{site.address}/i.zip?token=new", raw)
    assert gets(site) == [("/i.zip", None), ("/i.zip", f"bytes={begun}-")]
    assert (raw / "i.zip").read_bytes() == archive
    assert [path.name for path in raw.parent.iterdir()] == ["nih"]


def test_a_tar_archive_that_broke_off_goes_on_at_its_byte(raw, small_reads):
    archive = tarred({"1.png": noise(3 * MIB)})
    with serving({"/i.tar": archive}) as site:
        site.cut = 2 * MIB
        with pytest.raises(OriginError):
            bring(f"{site.address}/i.tar", raw)
        begun = len(half_of(raw))
        bring(f"{site.address}/i.tar", raw)
    assert gets(site)[1] == ("/i.tar", f"bytes={begun}-")
    assert held(raw) == (["i.zip"], {"1.png": noise(3 * MIB)})


def test_where_the_server_knows_no_ranges_it_starts_again(raw, small_reads):
    archive = zipped({"1.png": noise(3 * MIB)})
    with serving({"/i.zip": archive}, ranges=False) as site:
        site.cut = 2 * MIB
        with pytest.raises(OriginError):
            bring(f"{site.address}/i.zip", raw)
        assert len(half_of(raw)) > MIB
        bring(f"{site.address}/i.zip", raw)
    assert (raw / "i.zip").read_bytes() == archive


def test_where_the_remote_has_changed_meanwhile_it_starts_again(raw, small_reads):
    old, new = zipped({"1.png": noise(3 * MIB, 1)}), zipped({"1.png": noise(3 * MIB, 2)})
    assert len(old) == len(new)
    with serving({"/i.zip": old}) as site:
        site.cut = 2 * MIB
        with pytest.raises(OriginError):
            bring(f"{site.address}/i.zip", raw)
        site.files["/i.zip"] = new
        bring(f"{site.address}/i.zip", raw)
    assert gets(site) == [("/i.zip", None), ("/i.zip", None)]
    assert (raw / "i.zip").read_bytes() == new


def test_another_origin_starts_afresh(tmp_path, raw):
    archive = zipped({"1.png": noise(3 * MIB)})
    with serving({"/i.zip": archive, "/j.zip": archive}) as site:
        site.cut = 2 * MIB
        with pytest.raises(OriginError):
            bring(f"{site.address}/i.zip", raw)
        site.cut = MIB
        with pytest.raises(OriginError):
            bring(f"{site.address}/j.zip", raw)
        assert len(half_of(raw)) <= MIB
    assert gets(site) == [("/i.zip", None), ("/j.zip", None)]


def test_a_ranged_read_of_s3_goes_on_at_its_byte(bucket, raw, monkeypatch):
    monkeypatch.setattr(origins, "CHUNK", 1000)
    archive = zipped({"1.png": noise(5000)})
    put(bucket, **{"nih/i.zip": archive})
    chunks, starts = origins.Origin.chunks, []

    def breaking(self, file, start):
        starts.append(start)
        _, rest = chunks(self, file, start)
        for number, chunk in enumerate(rest):
            if number == 3:
                raise self.refuse("all of it", "the line broke", "Wait.")
            yield chunk

    monkeypatch.setattr(origins.Origin, "chunks", lambda self, file, start: (start, breaking(self, file, start)))
    with pytest.raises(OriginError, match="the line broke"):
        bring("s3://hospital/nih/i.zip", raw)
    bring("s3://hospital/nih/i.zip", raw)
    assert starts == [0, 3000]
    assert (raw / "i.zip").read_bytes() == archive


def test_an_object_that_vanishes_is_told_and_what_was_brought_is_not_fetched_again(bucket, raw, monkeypatch):
    monkeypatch.setattr(fetching, "FILES_A_PART", 2)
    put(bucket, **{f"nih/{number}.png": b"%d" % number for number in range(6)})
    read, asked = origins.Origin.read, []

    def vanishing(self, files):
        asked.append([file.path for file in files])
        if len(asked) == 2:
            bucket.delete_object(Bucket="hospital", Key="nih/5.png")
        return read(self, files)

    monkeypatch.setattr(origins.Origin, "read", vanishing)
    with pytest.raises(OriginError) as caught:
        bring("s3://hospital/nih", raw)
    assert str(caught.value) == (
        "s3://hospital/nih: expected to read 5.png, but The specified key does not exist. "
        "Run the command again; it goes on where it stopped."
    )
    assert is_untouched(raw)
    bring("s3://hospital/nih", raw)
    assert asked == [["0.png", "1.png"], ["2.png", "3.png"], ["4.png", "5.png"], ["4.png"]]
    assert held(raw)[1] == {f"{number}.png": b"%d" % number for number in range(5)}


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path, raw, monkeypatch):
    origin = write(tmp_path / "origin", **{"1.png": b"one"})
    read = origins.Origin.read

    def growing(self, files):
        write(origin, **{"1.png": b"one and more"})
        return read(self, files)

    monkeypatch.setattr(origins.Origin, "read", growing)
    with pytest.raises(OriginError, match=r"expected 3 bytes of 1\.png, but received 12"):
        bring(origin, raw)


def test_a_full_disk_is_told_and_what_was_brought_is_not_fetched_again(tmp_path, raw, monkeypatch):
    monkeypatch.setattr(fetching, "FILES_A_PART", 1)
    origin = write(tmp_path / "origin", **{"1.png": b"one", "2.png": b"two"})
    writestr, read, asked = zipfile.ZipFile.writestr, origins.Origin.read, []

    def full(self, member, data):
        if member.filename == "2.png":
            raise OSError(errno.ENOSPC, "No space left on device")
        writestr(self, member, data)

    def noting(self, files):
        asked.extend(file.path for file in files)
        return read(self, files)

    monkeypatch.setattr(origins.Origin, "read", noting)
    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "writestr", full)
        with pytest.raises(DataError) as caught:
            bring(origin, raw)
    assert str(caught.value) == (
        f"{raw} could not be written (No space left on device), what it holds is as it was. See that its disk has free "
        "space and may be written to. Run the command again; it goes on where it stopped."
    )
    assert is_untouched(raw)
    bring(origin, raw)
    assert asked == ["1.png", "2.png", "2.png"]
    assert held(raw)[1] == {"1.png": b"one", "2.png": b"two"}


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(tmp_path, raw, monkeypatch):
    rename = type(raw).rename

    def refusing(self, target):
        if self.name == "new":
            raise OSError(errno.EACCES, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(type(raw), "rename", refusing)
    with pytest.raises(DataError, match="Permission denied"):
        bring(write(tmp_path / "origin", **IMAGES), raw)
    assert is_untouched(raw)


def test_a_kill_between_the_two_renames_is_made_good_by_the_next_call(tmp_path, raw):
    write(raw.parent / ".nih.partial/new", **{"files-00000.zip": b"?"})
    raw.rename(raw.parent / ".nih.partial/old")
    write(tmp_path, **{"i.zip": b"torn"})
    with pytest.raises(OriginError):
        bring(tmp_path / "i.zip", raw)
    assert is_untouched(raw)


def test_nothing_is_shown_where_there_is_no_terminal(tmp_path, raw, capfd):
    bring(write(tmp_path / "origin", **IMAGES), raw)
    assert capfd.readouterr() == ("", "")
