"""Origins: folders, web servers and S3, each a real one."""

import hashlib

import httpx
import pytest

from models.errors import OriginError, SettingsError
from pipelines.origins import Origin, known_checksums, without_secrets
from pipelines.sources.card import Card, Weights
from tests.remotes import put, serving, write

CARD = Card(
    title="t", home="h", licence="l", citation="c", terms="t", weights=Weights(shareable=True, terms="t"), limits="l"
)


def listed(origin):
    return [(file.path, file.size) for file in origin.files]


def test_a_folder_lists_its_files_by_path(tmp_path):
    write(tmp_path / "nih", **{"images/00000002.png": b"two", "images/00000001.png": b"one", "Data_Entry.csv": b""})
    origin = Origin(str(tmp_path / "nih"))
    assert listed(origin) == [("Data_Entry.csv", 0), ("images/00000001.png", 3), ("images/00000002.png", 3)]
    assert (origin.is_file, origin.left_out) == (False, 0)
    assert origin.read(origin.files) == [b"", b"one", b"two"]


def test_a_relative_folder_and_one_with_magic_letters_are_read_as_they_are(tmp_path, monkeypatch):
    write(tmp_path / "nih [1]*?", **{"a[1].png": b"one", "a?.png": b"two"})
    monkeypatch.chdir(tmp_path / "nih [1]*?")
    for address in (".", str(tmp_path / "nih [1]*?")):
        origin = Origin(address)
        assert listed(origin) == [("a?.png", 3), ("a[1].png", 3)]
        assert origin.read(origin.files) == [b"two", b"one"]


def test_hidden_files_and_what_desktops_leave_are_left_out(tmp_path):
    droppings = (".DS_Store", "images/.DS_Store", "__MACOSX/images/._a.png", "images/Thumbs.db", ".git/config")
    write(tmp_path, **dict.fromkeys(droppings, b"?"), **{"images/a.png": b"one"})
    origin = Origin(str(tmp_path))
    assert listed(origin) == [("images/a.png", 3)]
    assert origin.left_out == 5


def test_a_link_to_a_file_is_followed_and_one_to_nothing_or_to_a_folder_is_refused(tmp_path):
    write(tmp_path, **{"store/a.png": b"one"})
    (tmp_path / "nih").mkdir()
    (tmp_path / "nih/a.png").symlink_to(tmp_path / "store/a.png")
    origin = Origin(str(tmp_path / "nih"))
    assert listed(origin) == [("a.png", 3)]
    assert origin.read(origin.files) == [b"one"]
    for target in ("nothing", "store"):
        (tmp_path / "nih/more").unlink(missing_ok=True)
        (tmp_path / "nih/more").symlink_to(tmp_path / target)
        with pytest.raises(OriginError, match="more is a link or a device") as caught:
            Origin(str(tmp_path / "nih"))
        assert caught.value.values["remedy"] == "Copy what it stands for."


def test_a_folder_that_may_not_be_listed_is_not_passed_over(tmp_path, monkeypatch):
    write(tmp_path, **{"open/a.png": b"one", "closed/b.png": b"two"})
    from fsspec.implementations.local import LocalFileSystem

    ls = LocalFileSystem.ls

    def forbidden(self, path, detail=False, **kwargs):
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return ls(self, path, detail, **kwargs)

    # As root, as in a container, every folder may be read.
    monkeypatch.setattr(LocalFileSystem, "ls", forbidden)
    with pytest.raises(OriginError, match="Permission denied"):
        Origin(str(tmp_path))


def test_a_prefix_of_s3_is_a_folder_and_its_placeholders_are_none(bucket):
    put(bucket, **{"nih/": b"", "nih/images/": b"", "nih/images/1.png": b"one", "nih/2.png": b"", "nihilism": b"no"})
    for address in ("s3://hospital/nih", "s3://hospital/nih/"):
        origin = Origin(address)
        assert listed(origin) == [("2.png", 0), ("images/1.png", 3)]
        assert origin.read(origin.files) == [b"", b"one"]


def test_an_object_is_one_file_and_is_read_from_a_byte_on(bucket):
    put(bucket, **{"nih/images.zip": b"0123456789"})
    origin = Origin("s3://hospital/nih/images.zip")
    assert (origin.is_file, listed(origin)) == (True, [("images.zip", 10)])
    start, chunks = origin.chunks(origin.files[0], 7)
    assert (start, b"".join(chunks)) == (7, b"789")


def test_a_listing_is_never_an_old_one(bucket):
    put(bucket, **{"nih/1.png": b"one"})
    assert len(Origin("s3://hospital/nih").files) == 1
    put(bucket, **{"nih/2.png": b"two"})
    assert len(Origin("s3://hospital/nih").files) == 2


def test_an_object_that_changes_changes_its_mark(bucket):
    put(bucket, **{"nih/1.png": b"one"})
    before = Origin("s3://hospital/nih").files
    put(bucket, **{"nih/1.png": b"two"})
    assert Origin("s3://hospital/nih").files[0].mark != before[0].mark


def test_a_web_address_is_one_file_named_by_its_path(monkeypatch):
    with serving({"/sets/chest%20x.zip": b"0123456789"}) as site:
        origin = Origin(f"{site.address}/sets/chest%20x.zip?token=secret")
        assert origin.name == f"{site.address}/sets/chest%20x.zip"
        assert (origin.is_file, listed(origin)) == (True, [("chest x.zip", 10)])
        assert origin.read(origin.files) == [b"0123456789"]


@pytest.mark.parametrize(("ranges", "start", "rest"), [(True, 7, b"789"), (False, 0, b"0123456789")])
def test_a_web_server_gives_the_rest_or_where_it_knows_no_ranges_all(ranges, start, rest):
    with serving({"/x.zip": b"0123456789"}, ranges=ranges) as site:
        origin = Origin(f"{site.address}/x.zip")
        began, chunks = origin.chunks(origin.files[0], 7)
        assert (began, b"".join(chunks)) == (start, rest)


def test_a_web_session_heeds_the_proxy_of_the_environment(monkeypatch):
    with serving({"/x.zip": b"0123456789"}) as site:
        monkeypatch.setenv("http_proxy", site.address)
        monkeypatch.setenv("no_proxy", "")
        # The proxy is asked for an address that only it can answer.
        with pytest.raises(OriginError, match="the server answers 404"):
            Origin("http://publisher.invalid/x.zip")
        assert site.asked[-1][1] == "http://publisher.invalid/x.zip"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("/nowhere/nih", "No such file or directory"),
        ("s3://hospital/nowhere", "it is not there"),
        ("s3://nobody/nih", "The specified bucket does not exist"),
        ("gs://hospital/nih", "Please install gcsfs to access Google Storage"),
        ("nihfs://hospital/nih", "Protocol not known: nihfs"),
        ("http://nowhere.invalid/x.zip?token=secret", "Cannot connect to host nowhere.invalid:80"),
        ("http://127.0.0.1:1/x.zip?token=secret", "Cannot connect to host 127.0.0.1:1"),
    ],
)
def test_what_is_not_there_is_one_sentence_without_secrets(bucket, address, reason):
    with pytest.raises(OriginError) as caught:
        Origin(address)
    message = str(caught.value)
    assert message.startswith(f"{address.partition('?')[0]}: expected ")
    assert reason in message
    assert "secret" not in message
    assert "\n" not in message


@pytest.mark.parametrize(("status", "reason"), [(403, "answers 403 (Forbidden)"), (404, "answers 404 (Not Found)")])
def test_a_refusal_of_a_web_server_is_told(status, reason):
    with serving({"/x.zip": b"0123456789"}) as site:
        site.status = status
        with pytest.raises(OriginError) as caught:
            Origin(f"{site.address}/x.zip?token=secret")
        assert reason in str(caught.value)
        assert "secret" not in str(caught.value)


def test_s3_without_the_right_is_told(bucket):
    put(bucket, **{"nih/1.png": b"one"})
    control = f"{bucket.meta.endpoint_url}/moto-api/reset-auth"
    httpx.post(control, content=b"0").raise_for_status()
    try:
        with pytest.raises(OriginError, match="Forbidden"):
            Origin("s3://hospital/nih")
    finally:
        httpx.post(control, content=b"inf").raise_for_status()


def test_s3_that_does_not_run_is_told(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(OriginError, match="Could not connect to the endpoint"):
        Origin("s3://hospital/nih")


@pytest.mark.parametrize("key", ["nih/../../evil.png", "nih/a\\evil.png", "nih/C:/evil.png"])
def test_an_object_whose_path_leads_elsewhere_is_refused(bucket, key):
    put(bucket, **{key: b"evil"})
    with pytest.raises(OriginError, match=r"expected paths below the folder.*evil"):
        Origin("s3://hospital/nih")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://me:word@host/x.zip?sig=1#part", "https://host/x.zip"),
        ("s3://hospital/nih", "s3://hospital/nih"),
        ("ssh://me@host:22/nih", "ssh://host:22/nih"),
        ("no answer from https://host/x?sig=1, https://me@host/y", "no answer from https://host/x https://host/y"),
        ("/home/me/what?/nih#2", "/home/me/what?/nih#2"),
    ],
)
def test_addresses_lose_user_password_and_query(text, clean):
    assert without_secrets(text) == clean


def test_checksums_are_known_from_lists_beside_the_files_from_the_card_and_from_the_user(tmp_path):
    one, two = hashlib.sha256(b"one").hexdigest(), hashlib.md5(b"two").hexdigest()  # noqa: S324
    write(
        tmp_path,
        **{
            "SHA256SUMS.txt": f"{one.upper()}  ./a/1.zip\n{one} *gone.zip\nno checksum\n".encode(),
            "a/checksums.md5": f"{two}  2 b.zip\r\n".encode(),
            "a/1.zip": b"one",
            "a/2 b.zip": b"two",
            "a/3.zip": b"three",
        },
    )
    folder = Origin(str(tmp_path))
    assert known_checksums(folder, CARD, None) == {"a/1.zip": f"sha256:{one}", "a/2 b.zip": f"md5:{two}"}
    card = CARD.model_copy(update={"checksums": {"1.zip": "md5:" + "0" * 32, "3.zip": "md5:" + "1" * 32}})
    assert known_checksums(folder, card, None) == {
        "a/1.zip": "md5:" + "0" * 32,
        "a/2 b.zip": f"md5:{two}",
        "a/3.zip": "md5:" + "1" * 32,
    }
    single = Origin(str(tmp_path / "a/1.zip"))
    assert known_checksums(single, card, f"SHA256:{one.upper()}") == {"1.zip": f"sha256:{one}"}


@pytest.mark.parametrize(("path", "checksum"), [("", "sha256:" + "0" * 64), ("1.zip", "sha256:0"), ("1.zip", "0" * 64)])
def test_a_checksum_that_is_none_or_of_a_folder_is_a_bad_setting(tmp_path, path, checksum):
    write(tmp_path, **{"1.zip": b"one"})
    with pytest.raises(SettingsError, match="--checksum: expected sha256: or md5:"):
        known_checksums(Origin(str(tmp_path / path)), CARD, checksum)
