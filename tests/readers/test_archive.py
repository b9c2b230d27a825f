from __future__ import annotations

import stat
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.readers.products import L2A, MUSCATE, make_maja, make_muscate, make_safe, muscate_xml, product_xml
from thalweg.errors import BadInput, DiskFull, MissingInput, ThalwegError
from thalweg.readers import open_granule, opened
from thalweg.readers.archive import Archive, Limits, opened_archive

BAND = f"{MUSCATE}/{MUSCATE}_FRE_B3.tif"


def zipped(folder: Path, path: Path, root: Path | None = None) -> Path:
    """A zip of a folder (and of what lies beside it, where `root` is given)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((root or folder).rglob("*")):
            if file != path:
                archive.write(file, file.relative_to(folder.parent))
    return path


def with_member(path: Path, name: str | zipfile.ZipInfo, content: bytes = b"x") -> Path:
    """A product's zip and one member more."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr(name, content)
    return path


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A zipped MUSCATE product."""
    folder = make_muscate(tmp_path)
    for file in folder.rglob("*.tif"):
        file.write_bytes(file.name.encode())
    return zipped(folder, tmp_path / f"{MUSCATE}.zip")


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A scratch folder that must be empty in the end, whatever happened."""
    folder = tmp_path / "scratch"
    yield folder
    assert not folder.exists() or not any(folder.iterdir())


def test_same_granule_from_zip_and_folder(product: Path, scratch: Path) -> None:
    folder = open_granule(product.with_suffix(""))
    with opened(product, scratch) as granule:
        assert granule.path == product
        assert (granule.id, granule.sensed, granule.orbit) == (folder.id, folder.sensed, folder.orbit)
        assert granule.sun is not None
        assert {role: list(keys) for role, keys in granule.bands.items()} == {
            role: list(keys) for role, keys in folder.bands.items()
        }
        for keys in granule.bands.values():
            for band in keys.values():
                assert band.raster.path.read_bytes() == band.raster.name.encode()
                assert scratch in band.raster.path.parents


def test_only_what_the_granule_holds_is_unpacked(product: Path, scratch: Path) -> None:
    with_member(product, f"{MUSCATE}/DATA/big.bin", b"0" * 1000)
    with opened(product, scratch) as granule:
        unpacked = {path for path in scratch.rglob("*") if path.is_file()}
        rasters = {band.raster.path for keys in granule.bands.values() for band in keys.values()}
        rasters |= {mask.raster.path for mask in granule.masks}
        assert {path.name for path in unpacked - rasters} == {f"{MUSCATE}_MTD_ALL.xml"}
        assert rasters <= unpacked


def test_only_what_is_wanted_is_unpacked(product: Path, scratch: Path) -> None:
    def wanted(what: str, key: str) -> bool:
        return (what, key) in {("green", "flat"), ("blue", "surface"), ("clm", "")}

    with opened(product, scratch, wanted) as granule:
        assert {role: list(keys) for role, keys in granule.bands.items()} == {
            "blue": ["surface"],
            "green": ["flat"],
        }
        assert {mask.kind for mask in granule.masks} == {"clm"}
        assert len(list(scratch.rglob("*.tif"))) == 4


def test_the_private_folder_goes_even_after_an_error(product: Path, scratch: Path) -> None:
    with pytest.raises(RuntimeError, match="chain"), opened(product, scratch):
        raise RuntimeError("the chain failed")


def test_two_of_one_zip_at_once_do_not_meet(product: Path, scratch: Path) -> None:
    with opened(product, scratch) as one, opened(product, scratch) as other:
        assert one.bands["green"]["flat"].raster.path != other.bands["green"]["flat"].raster.path


def test_folders_items_and_stacks_need_no_scratch(tmp_path: Path) -> None:
    folder = make_muscate(tmp_path)
    with opened(folder, tmp_path / "never") as granule:
        assert granule.bands == open_granule(folder).bands
    assert not (tmp_path / "never").exists()
    with pytest.raises(MissingInput), opened(tmp_path / "nothing.zip"):
        pass


def test_any_name_of_the_zip(product: Path, scratch: Path) -> None:
    with opened(product.rename(product.with_name("12345.ZIP")), scratch) as granule:
        assert granule.id == MUSCATE


def test_files_at_the_top_of_a_zip_that_bears_the_name(tmp_path: Path, scratch: Path) -> None:
    folder = make_muscate(tmp_path)
    path = tmp_path / f"{MUSCATE}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*.*"):
            archive.write(file, file.relative_to(folder))
    with opened(path, scratch) as granule:
        assert (granule.id, granule.orbit, len(granule.masks)) == (MUSCATE, 51, 8)


def test_safe_and_maja_come_in_zips_too(tmp_path: Path, scratch: Path) -> None:
    safe = zipped(make_safe(tmp_path, xml=product_xml()), tmp_path / "product.zip")
    with opened(safe, scratch) as granule:
        assert (granule.format, granule.cloud_cover) == ("safe", 15.5)
    inner = tmp_path / "inner"
    inner.mkdir()
    maja = zipped(make_maja(inner), tmp_path / "maja.zip", root=inner)
    with opened(maja, scratch) as granule:
        assert (granule.format, granule.sensed.hour) == ("maja", 10)


def test_leftovers_of_file_managers(product: Path, scratch: Path) -> None:
    with_member(product, f"__MACOSX/{MUSCATE}/._{MUSCATE}_FRE_B3.tif")
    with_member(product, f"{MUSCATE}/._{MUSCATE}_FRE_B3.tif")
    with opened(product, scratch) as granule:
        assert "green" in granule.bands


def test_several_products_and_none(tmp_path: Path, scratch: Path) -> None:
    make_muscate(tmp_path / "all")
    safe = make_safe(tmp_path / "all")
    several = zipped(safe, tmp_path / "all.zip", root=tmp_path / "all")
    with pytest.raises(BadInput, match=f"{L2A} and {MUSCATE}"), opened(several, scratch):
        pass
    none = with_member(tmp_path / "none.zip", "readme.txt")
    with pytest.raises(BadInput, match="unknown product type"), opened(none, scratch):
        pass


def test_bad_metadata_in_a_zip_names_zip_and_member(tmp_path: Path, scratch: Path) -> None:
    path = zipped(make_muscate(tmp_path, xml=muscate_xml()[:200]), tmp_path / "cut.zip")
    with pytest.raises(BadInput, match=r"cut\.zip/.*_MTD_ALL\.xml: is cut"), opened(path, scratch):
        pass


# Hostile zips


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def device(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFIFO | 0o644) << 16
    return info


def bzipped(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_BZIP2
    return info


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("../outside.tif", "climbs out"),
        (f"{MUSCATE}/../../outside.tif", "climbs out"),
        (f"{MUSCATE}/..", "climbs out"),
        ("/outside.tif", "absolute path"),
        ("//server/outside.tif", "absolute path"),
        ("C:outside.tif", "absolute path"),
        ("..\\outside.tif", "characters"),
        (f"{MUSCATE}/new\nline.tif", "characters"),
        (link(f"{MUSCATE}/{MUSCATE}_FRE_B9.tif"), "link or a device"),
        (device(f"{MUSCATE}/pipe.tif"), "link or a device"),
        (bzipped(f"{MUSCATE}/b.tif"), "method 12"),
        (BAND, "occurs twice"),
        (BAND.upper(), "upper and lower case"),
        (f"{BAND}/inside.tif", "file and a folder"),
        (f"{MUSCATE}/{'n' * 300}.tif", "long name"),
        (f"{'d/' * 600}x.tif", "long name"),
    ],
)
def test_hostile_members(product: Path, scratch: Path, member: str | zipfile.ZipInfo, reason: str) -> None:
    with_member(product, member)
    with pytest.raises(BadInput, match=reason) as error, opened(product, scratch):
        pass
    assert str(product) in str(error.value)
    assert not list(scratch.parent.rglob("*outside*"))


def test_a_name_that_hides_behind_nul(product: Path, scratch: Path) -> None:
    with_member(product, f"{MUSCATE}/aaaa.tif")
    product.write_bytes(product.read_bytes().replace(b"aaaa.tif", b"aa\0a.tif"))
    with pytest.raises(BadInput, match="characters"), opened(product, scratch):
        pass


def test_an_encrypted_member(product: Path, scratch: Path) -> None:
    content = bytearray(product.read_bytes())
    central = content.rfind(b"PK\x01\x02")
    content[central + 8] |= 1
    product.write_bytes(content)
    with pytest.raises(BadInput, match="encrypted"), opened(product, scratch):
        pass


def test_a_bomb_of_zeros(product: Path, scratch: Path) -> None:
    with_member(product, f"{MUSCATE}/{MUSCATE}_FRE_B9.tif", b"\0" * (40 * 2**20))
    with pytest.raises(BadInput, match="times larger"), opened(product, scratch):
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


def set_size(content: bytearray, name: bytes, size: int) -> None:
    """Let both headers of a member declare another unpacked size."""
    for signature, name_at, size_at in ((b"PK\x03\x04", 30, 22), (b"PK\x01\x02", 46, 24)):
        start = -1
        while (start := content.find(signature, start + 1)) >= 0:
            if content[start + name_at :].startswith(name):
                content[start + size_at : start + size_at + 4] = size.to_bytes(4, "little")


@pytest.mark.parametrize("size", [3, 10_000], ids=["holds-more", "holds-less"])
def test_a_member_that_lies_about_its_size(product: Path, scratch: Path, size: int) -> None:
    content = bytearray(product.read_bytes())
    set_size(content, BAND.encode(), size)
    product.write_bytes(content)
    with pytest.raises(BadInput, match=r"FRE_B3\.tif"), opened(product, scratch):
        pass


def test_members_that_share_their_bytes(tmp_path: Path, scratch: Path) -> None:
    """Many names in the directory for one piece of data: how a small zip can unpack to anything."""
    path = tmp_path / "overlap.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(BAND, bytes(range(256)) * 400)
        info = archive.infolist()[0]
        for number in range(2):
            twin = zipfile.ZipInfo(f"{MUSCATE}/twin{number}_FRE_B{number + 4}.tif")
            for name in ("header_offset", "CRC", "compress_size", "file_size", "compress_type"):
                setattr(twin, name, getattr(info, name))
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
    with pytest.raises(BadInput, match="overlap"), opened(path, scratch):
        pass


def test_a_full_disk_is_not_the_products_fault(
    product: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr("thalweg.readers.archive.shutil.disk_usage", lambda path: Usage)
    with pytest.raises(DiskFull, match="MB free"), opened(product, scratch):
        pass


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    start = content.find(f"{MUSCATE}_FRE_B3.tif".encode()) + len(f"{MUSCATE}_FRE_B3.tif")
    return (
        content[:start] + bytes(byte ^ 0x55 for byte in content[start : start + 20]) + content[start + 20 :]
    )


@pytest.mark.parametrize("damage", [cut, flipped, lambda content: b"", lambda content: b"PK\x03\x04junk"])
def test_unreadable_zips(product: Path, scratch: Path, damage: Callable[[bytes], bytes]) -> None:
    product.write_bytes(damage(product.read_bytes()))
    with pytest.raises(BadInput) as error, opened(product, scratch):
        pass
    assert str(product) in str(error.value)


@given(st.data())
def test_a_damaged_zip_is_bad_input_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever happens to its bytes: an error of ours or a granule, and nothing outside the private folder."""
    folder = tmp_path_factory.mktemp("zip")
    product = make_muscate(folder / "in", files=("FRE_B3.tif", "MASKS/CLM_R2.tif"))
    path = zipped(product, folder / "p.zip")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    try:
        with opened(path, folder / "scratch"):
            pass
    except ThalwegError as error:
        assert error.code in (10, 22)
    assert {child.name for child in folder.iterdir()} <= {"in", "p.zip", "scratch"}
    assert not any((folder / "scratch").iterdir())


def test_an_archive_unpacks_a_member_once(product: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    with opened_archive(product, target) as archive:
        assert isinstance(archive, Archive)
        first = archive.fetch(BAND)
        assert first is not None
        first.write_bytes(b"kept")
        assert archive.fetch(BAND) == first and first.read_bytes() == b"kept"
        assert archive.fetch("no/such/member") is None
