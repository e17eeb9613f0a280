"""A server on this machine that answers as the Hugging Face Hub does when a folder is uploaded, and keeps the files."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

TOKEN = "hf_" + "x" * 34


@dataclass
class Hub:
    """What was asked of the server."""

    address: str = ""
    created: list[dict[str, Any]] = field(default_factory=list)
    cards: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    refuse: int = 0  # status of the answer to a commit; 0 accepts it


@contextmanager
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Let huggingface_hub talk to such a server."""
    from huggingface_hub import constants, hf_api

    found = Hub()

    class Answers(BaseHTTPRequestHandler):
        def log_message(self, *given: object) -> None:
            """Write no log."""

        def do_GET(self) -> None:
            self.answer({"id": "me/net", "sha": "0" * 40, "siblings": []})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self.answer({"error": "Invalid username or password."}, status=401)
            elif self.path == "/api/repos/create":
                found.created.append(json.loads(body))
                self.answer({"url": f"{found.address}/me/net", "name": "me/net", "id": "1"})
            elif "/preupload/" in self.path:
                kept = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
                self.answer({"files": [{"path": one["path"], **kept} for one in json.loads(body)["files"]]})
            elif self.path == "/api/validate-yaml":
                found.cards.append(json.loads(body)["content"])
                self.answer({"warnings": [], "errors": []})
            elif found.refuse:
                self.answer({"error": "You are over the storage limit."}, status=found.refuse)
            else:
                for line in map(json.loads, body.splitlines()):
                    if line["key"] == "file":
                        found.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                self.answer({"commitUrl": f"{found.address}/me/net/commit/1", "commitOid": "1", "success": True})

        def answer(self, values: dict[str, Any], *, status: int = 200) -> None:
            content = json.dumps(values).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    found.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "ENDPOINT", found.address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hf_api.api, "endpoint", found.address)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
