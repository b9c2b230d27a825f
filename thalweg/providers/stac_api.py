"""Granules from a STAC API: item search over HTTP, page by page, with a time limit and a few tries for each page."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin, urlsplit
from urllib.request import Request, urlopen

from thalweg.errors import BadInput, BadParameters, ServiceUnavailable, ThalwegError
from thalweg.period import Period
from thalweg.providers.found import Found, Granules, Wanted, table_of
from thalweg.providers.items import found_of
from thalweg.providers.place import Place
from thalweg.tile import Tile, is_known

PAGE = 500
"""Items asked for at once."""

_TIMEOUT = 60.0
_TRIES = 4
_PAUSE = 1.0
_LARGEST = 256 << 20
_MOST_PAGES = 100_000
_EVERY_TILE_UP_TO = 50
_BUSY = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Client:
    """How pages are asked for."""

    timeout: float = _TIMEOUT
    """Seconds that a server may be silent."""
    pause: float = _PAUSE
    """Seconds before the second try; doubled for each further one."""

    def ask(self, url: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        """The object that a server answers; ServiceUnavailable after the last try, BadInput for anything else."""
        problem: Exception | None = None
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(self.pause * 2 ** (attempt - 1))
            try:
                return self._once(url, body)
            except HTTPError as refusal:
                if refusal.code not in _BUSY:
                    raise BadInput(f"{url}: HTTP {refusal.code}: {refusal.reason}") from refusal
                problem = refusal
            except (URLError, OSError) as broken:
                problem = broken
        raise ServiceUnavailable(f"{url}: {problem}") from problem

    def _once(self, url: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        if urlsplit(url).scheme not in ("http", "https"):
            raise BadParameters(f"{url}: a STAC API has an address with http:// or https://")
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/geo+json, application/json", "Content-Type": "application/json"}
        with urlopen(Request(url, data, headers), timeout=self.timeout) as answer:
            text = answer.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise BadInput(f"{url}: answers more than {_LARGEST >> 20} MB")
        try:
            content = json.loads(text)
        except ValueError as problem:
            raise BadInput(f"{url}: answers no JSON: {problem}") from None
        if not isinstance(content, dict):
            raise BadInput(f"{url}: answers no JSON object")
        return content


def find_in_api(
    url: str, wanted: Wanted, collections: Sequence[str], place: Place, client: Client | None = None
) -> Granules:
    """Granules of an API's collections, at their places on disk.

    Up to fifty tiles are asked for one by one, with a query on ``grid:code`` where the API knows queries; more of them
    by period alone. What comes back is checked again here. Raises ServiceUnavailable where the API does not answer,
    BadInput where it answers something else than items.
    """
    client = client or Client()
    url = url.rstrip("/")
    has_query = any("query" in str(rule) for rule in client.ask(url, None).get("conformsTo") or ())
    problems: list[ThalwegError] = []
    found: dict[str, Found] = {}
    for body in _searches(wanted, collections, has_query):
        for item in _items(client, f"{url}/search", body):
            try:
                granule = found_of(item, place)
            except BadInput as problem:
                problems.append(problem)
                continue
            if wanted.takes(granule):
                found.setdefault(granule.path, granule)
    return Granules(table_of(found.values()), tuple(problems))


def _searches(wanted: Wanted, collections: Sequence[str], has_query: bool) -> Iterator[dict[str, Any]]:
    base: dict[str, Any] = {"limit": PAGE, "datetime": interval(wanted.period)}
    if collections:
        base["collections"] = list(collections)
    if wanted.tiles is None or len(wanted.tiles) > _EVERY_TILE_UP_TO:
        yield base
        return
    for id in sorted(wanted.tiles):
        search = dict(base)
        if is_known(id):
            search["bbox"] = list(Tile(id).lonlat_bounds)
        if has_query:
            search["query"] = {"grid:code": {"eq": f"MGRS-{id}"}}
        yield search


def interval(period: Period) -> str:
    """A period as STAC searches have it, both ends included."""
    last = period.end - timedelta(milliseconds=1) if period.end else None
    first = period.start
    ends = [
        f"{end:%Y-%m-%dT%H:%M:%S}.{end.microsecond // 1000:03d}Z" if end else ".." for end in (first, last)
    ]
    return "/".join(ends)


def _items(client: Client, url: str, body: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    for _ in range(_MOST_PAGES):
        page = client.ask(url, body)
        features = page.get("features")
        if not isinstance(features, list):
            raise BadInput(f"{url}: answers no list of features")
        yield from (item for item in features if isinstance(item, Mapping))
        following = _following(page, url, body)
        if following is None:
            return
        url, body = following
    raise BadInput(f"{url}: pages without an end")


def _following(
    page: Mapping[str, Any], url: str, body: Mapping[str, Any] | None
) -> tuple[str, Mapping[str, Any] | None] | None:
    """Address and body of the next page; None after the last one. A page on another server is not followed."""
    links = page.get("links") or []
    link = next((each for each in links if isinstance(each, Mapping) and each.get("rel") == "next"), None)
    if link is None or not isinstance(link.get("href"), str):
        return None
    address = urljoin(url, link["href"])
    if urlsplit(address).netloc != urlsplit(url).netloc:
        raise BadInput(f"{url}: its next page is on another server: {address[:120]}")
    if str(link.get("method", "GET")).upper() != "POST":
        return address, None
    own = link.get("body")
    more = own if isinstance(own, Mapping) else {}
    return address, {**(body or {}), **more} if link.get("merge") else more or body
