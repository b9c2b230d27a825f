"""Forms: what is taken apart comes together again."""

from __future__ import annotations

import copy

from tests.catalogue.products import NOON, an_item
from thalweg.catalogue.form import join, split


def test_form_and_rest_make_the_item_again() -> None:
    item = an_item()
    before = copy.deepcopy(item)
    form, rest = split(item)
    assert join(form, rest) == item == before


def test_products_of_one_chain_have_one_form() -> None:
    one, _ = split(an_item("31TCH"))
    other, rest = split(an_item("33UUP", NOON.replace(month=5), properties={"snow:zs": None}))
    assert one == other
    assert "classification:classes" not in rest["assets"]["mask"]
    assert "parameters" not in rest["properties"]["processing:expression"]["expression"]


def test_the_rest_is_what_identifies() -> None:
    form, rest = split(an_item())
    assert rest["assets"]["mask"].keys() == {"href", "file:size", "file:checksum"}
    assert "thalweg:unit_id" in rest["properties"]
    assert "thalweg:unit_id" not in form["properties"]


def test_an_item_without_assets() -> None:
    item = {**an_item(), "assets": {}}
    assert join(*split(item)) == item
