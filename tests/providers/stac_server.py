"""A small STAC API over real HTTP: item search with paging, queries where it says so, and faults on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Api:
    """What the server knows, and how it behaves."""

    items: list[dict[str, Any]]
    page: int = 2
    has_query: bool = True
    by_get: bool = False
    broken: list[int] = field(default_factory=list)
    next_host: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        first = int(body.get("token", 0))
        items = [item for item in self.items if _matches(item, body)]
        links = []
        if first + self.page < len(items):
            token = first + self.page
            href = f"{self.next_host or self.url}/search"
            if self.by_get:
                links.append({"rel": "next", "href": f"{href}?token={token}"})
            else:
                links.append(
                    {"rel": "next", "href": href, "method": "POST", "merge": True, "body": {"token": token}}
                )
        return {"type": "FeatureCollection", "features": items[first : first + self.page], "links": links}


def _matches(item: dict[str, Any], body: dict[str, Any]) -> bool:
    start, _, end = body.get("datetime", "../..").partition("/")
    time = item["properties"]["datetime"]
    inside = (start == ".." or time >= start) and (end == ".." or time <= end)
    wanted = body.get("collections")
    code = body.get("query", {}).get("grid:code", {}).get("eq")
    return (
        inside
        and (not wanted or item["collection"] in wanted)
        and (code is None or item["properties"].get("grid:code") == code)
    )


@contextmanager
def serving(api: Api) -> Iterator[Api]:
    """The API at `api.url`."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "/search" in self.path:
                self._search({"token": self.path.rpartition("=")[2]})
                return
            rules = ["https://api.stacspec.org/v1.0.0/item-search"]
            rules += ["https://api.stacspec.org/v1.0.0/item-search#query"] if api.has_query else []
            self._answer(200, {"type": "Catalog", "conformsTo": rules})

        def do_POST(self) -> None:
            self._search(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _search(self, body: dict[str, Any]) -> None:
            api.asked.append(body)
            if api.broken:
                self._answer(api.broken.pop(0), {"description": "later"})
                return
            self._answer(200, api.search(body))

        def _answer(self, code: int, content: dict[str, Any]) -> None:
            text = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
