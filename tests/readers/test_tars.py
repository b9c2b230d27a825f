"""Tars of products; what holds of every archive is shown on zips in test_archive.py."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.readers.products import COLLECTION2, S30, make_hls, make_landsat
from thalweg.errors import BadInput, DiskFull, ThalwegError
from thalweg.readers import open_granule, opened
from thalweg.readers.archive import Limits, opened_archive

BAND = f"{COLLECTION2}_SR_B3.TIF"


def tarred(folder: Path, path: Path, inside: str = "") -> Path:
    """A tar of the files of a folder, at its top as USGS packs them or under `inside`."""
    with tarfile.open(path, "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.add(file, f"{inside}{file.relative_to(folder)}")
    return path


def with_member(
    path: Path, name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, **more: str
) -> Path:
    """A product's tar and one member more."""
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo(name)
        info.size, info.type = len(content), kind
        info.linkname = more.get("link", "")
        archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A Landsat product in a tar."""
    folder = make_landsat(tmp_path)
    for file in folder.glob("*.TIF"):
        file.write_bytes(file.name.encode() * 100)
    return tarred(folder, tmp_path / f"{COLLECTION2}.tar")


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A scratch folder that must be empty in the end, whatever happened."""
    folder = tmp_path / "scratch"
    yield folder
    assert not folder.exists() or not any(folder.iterdir())


@pytest.mark.parametrize("name", [f"{COLLECTION2}.tar", "order-17.tar"])
def test_same_granule_from_tar_and_folder(product: Path, scratch: Path, name: str) -> None:
    folder = open_granule(product.with_suffix(""))
    with opened(product.rename(product.with_name(name)), scratch) as granule:
        assert (granule.id, granule.sensed, granule.sun) == (folder.id, folder.sensed, folder.sun)
        assert list(granule.bands) == list(folder.bands) and len(granule.masks) == 2
        for keys in granule.bands.values():
            path = keys["30"].raster.path
            assert scratch in path.parents and path.read_bytes() == path.name.encode() * 100


def test_only_what_is_wanted_is_unpacked(product: Path, scratch: Path) -> None:
    with opened(product, scratch, lambda what, key: what in ("green", "qa_pixel")) as granule:
        assert list(granule.bands) == ["green"]
        assert {path.name[41:] for path in scratch.rglob("*.*")} == {"SR_B3.TIF", "QA_PIXEL.TIF", "MTL.xml"}


@pytest.mark.parametrize("inside", [f"{COLLECTION2}/", "./", f"./{COLLECTION2}/"])
def test_other_ways_to_pack(tmp_path: Path, scratch: Path, inside: str) -> None:
    path = tarred(make_landsat(tmp_path), tmp_path / "any.tar", inside)
    with_member(path, "./", b"", tarfile.DIRTYPE)
    with opened(path, scratch) as granule:
        assert (granule.id, granule.cloud_cover) == (COLLECTION2, 29.27)


def test_hls_comes_in_archives_too(tmp_path: Path, scratch: Path) -> None:
    path = tarred(make_hls(tmp_path), tmp_path / "hls.tar", f"{S30}/")
    with opened(path, scratch) as granule:
        assert (granule.platform, len(granule.bands)) == ("S2B", 9)


def test_several_products_in_one_tar(tmp_path: Path, scratch: Path) -> None:
    other = COLLECTION2.replace("20240115", "20240131")
    make_landsat(tmp_path, folder="all")
    path = tarred(make_landsat(tmp_path, other, folder="all"), tmp_path / "all.tar")
    with pytest.raises(BadInput, match=f"{COLLECTION2} and {other}"), opened(path, scratch):
        pass


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("../outside.tif", tarfile.REGTYPE, "climbs out"),
        (f"{COLLECTION2}/../../outside.tif", tarfile.REGTYPE, "climbs out"),
        ("/outside.tif", tarfile.REGTYPE, "absolute path"),
        ("C:outside.tif", tarfile.REGTYPE, "absolute path"),
        ("..\\outside.tif", tarfile.REGTYPE, "characters"),
        ("new\nline.tif", tarfile.REGTYPE, "characters"),
        ("outside.tif", tarfile.SYMTYPE, "link or a device"),
        ("outside.tif", tarfile.LNKTYPE, "link or a device"),
        ("outside.tif", tarfile.FIFOTYPE, "link or a device"),
        ("outside.tif", tarfile.CHRTYPE, "link or a device"),
        (BAND, tarfile.REGTYPE, "occurs twice"),
        (BAND.lower(), tarfile.REGTYPE, "upper and lower case"),
        (f"{BAND}/inside.tif", tarfile.REGTYPE, "file and a folder"),
        ("n" * 300, tarfile.REGTYPE, "long name"),
    ],
)
def test_hostile_members(product: Path, scratch: Path, name: str, kind: bytes, reason: str) -> None:
    with_member(product, name, b"" if kind != tarfile.REGTYPE else b"x", kind, link="../../secret")
    with pytest.raises(BadInput, match=reason) as error, opened(product, scratch):
        pass
    assert str(product) in str(error.value)
    assert not list(scratch.parent.rglob("*outside*"))


def test_a_sparse_member_declares_what_is_not_there(product: Path, scratch: Path) -> None:
    headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "hole.tif"}
    headers["GNU.sparse.realsize"] = str(2**40)
    with tarfile.open(product, "a", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("GNUSparseFile.0/hole.tif")
        content = b"1\n0\n1\n".ljust(512, b"\0") + b"x"
        info.size, info.pax_headers = len(content), headers
        archive.addfile(info, io.BytesIO(content))
    with pytest.raises(BadInput, match=r"hole\.tif.* is sparse"), opened(product, scratch):
        pass


def test_a_header_of_absurd_size_is_not_read(product: Path, scratch: Path) -> None:
    with_member(product, "long", b"n" * (3 * 2**20), tarfile.GNUTYPE_LONGNAME)
    with pytest.raises(BadInput, match="a header of 3 MB"), opened(product, scratch):
        pass


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(members=3), "members, more than 3"),
        (Limits(member_bytes=20), "declares"),
        (Limits(total_bytes=100), "unpacks to"),
    ],
)
def test_limits(product: Path, tmp_path: Path, limits: Limits, reason: str) -> None:
    with pytest.raises(BadInput, match=reason), opened_archive(product, tmp_path, limits):
        pass


def test_a_member_larger_than_its_tar(product: Path, scratch: Path) -> None:
    content = bytearray(product.read_bytes())
    with tarfile.open(product) as archive:
        info = archive.getmember(BAND)
    info.size = 10**9
    content[info.offset : info.offset + 512] = info.tobuf()
    product.write_bytes(content)
    with pytest.raises(BadInput, match="no readable tar"), opened(product, scratch):
        pass


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"no tar at all",
        lambda content: content[: len(content) // 2],
        lambda content: content[:512],
        lambda content: content[:700],
        lambda content: b"\x1f\x8b\x08" + content,
    ],
)
def test_unreadable_tars(product: Path, scratch: Path, damage: Callable[[bytes], bytes]) -> None:
    product.write_bytes(damage(product.read_bytes()))
    with pytest.raises(BadInput) as error, opened(product, scratch):
        pass
    assert str(product) in str(error.value)


def test_a_download_that_broke_off_between_two_members(product: Path, scratch: Path) -> None:
    with tarfile.open(product) as archive:
        starts = [info.offset for info in archive]
    content = product.read_bytes()
    for start in starts[1:]:
        product.write_bytes(content[:start])
        with pytest.raises(BadInput, match=f"is cut or damaged at byte {start}"), opened(product, scratch):
            pass


def test_a_damaged_header_does_not_hide_what_follows(product: Path, scratch: Path) -> None:
    with tarfile.open(product) as archive:
        start = [info.offset for info in archive][3]
    content = bytearray(product.read_bytes())
    content[start + 150] ^= 0x55
    product.write_bytes(content)
    with pytest.raises(BadInput, match=f"is cut or damaged at byte {start}"), opened(product, scratch):
        pass


def test_a_full_disk_is_not_the_products_fault(
    product: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr("thalweg.readers.archive.shutil.disk_usage", lambda path: Usage)
    with pytest.raises(DiskFull, match="MB free"), opened(product, scratch):
        pass


@given(st.data())
def test_a_damaged_tar_is_bad_input_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever happens to its headers: an error of ours or a granule, and nothing outside the private folder."""
    folder = tmp_path_factory.mktemp("tar")
    made = make_landsat(folder / "in", files=("SR_B3.TIF", "QA_PIXEL.TIF"), form="txt")
    path = tarred(made, folder / "p.tar")
    with tarfile.open(path) as archive:
        starts = [info.offset for info in archive]
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.sampled_from(starts)) + data.draw(st.integers(0, 511))
        content[place] = data.draw(st.sampled_from([0, 0x2F, 0x30, 0x37, 0x80, 0xFF, 0x67, 0x78, 0x4C]))
    if data.draw(st.booleans(), label="checksums mended"):
        for start in starts:
            content[start + 148 : start + 156] = b" " * 8
            content[start + 148 : start + 155] = b"%06o\0" % sum(content[start : start + 512])
    path.write_bytes(content[: data.draw(st.integers(len(content) // 3, len(content)))])
    try:
        with opened(path, folder / "scratch"):
            pass
    except ThalwegError as error:
        assert error.code in (10, 22)
    assert {child.name for child in folder.iterdir()} <= {"in", "p.tar", "scratch"}
    assert not any((folder / "scratch").iterdir())
