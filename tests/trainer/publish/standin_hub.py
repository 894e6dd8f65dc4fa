"""A stand-in for the Hugging Face Hub: repositories of models, commits, and a store for large files (Git LFS)."""

from __future__ import annotations

import json
from base64 import b64decode
from hashlib import sha256
from typing import Any

from tests.standin import Answer, Request, StandIn


def mode_of(path: str) -> str:
    """Return the way in which the real Hub takes a file."""
    return "lfs" if path.endswith((".safetensors", ".onnx")) else "regular"


class Hub(StandIn):
    """Keeps the files of the last commit to each repository in `repos`, and which of them are private."""

    def __init__(self) -> None:
        super().__init__()
        self.repos: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.stored: dict[str, bytes] = {}
        """Large files by the SHA-256 of their bytes."""
        self.refuses_large = False

    def reply(self, request: Request) -> Answer:
        parts = request.path.strip("/").split("/")
        if parts == ["api", "validate-yaml"]:
            return Answer(body={"errors": [], "warnings": []})
        if parts == ["api", "repos", "create"]:
            return self._create(request)
        repo = "/".join(parts[2:4])
        if parts[4:] == ["preupload", "main"]:
            files = [{"path": one["path"], "uploadMode": mode_of(one["path"])} for one in request.json["files"]]
            return Answer(body={"files": [{**one, "shouldIgnore": False} for one in files]})
        if parts[-1] == "batch":
            return Answer(body={"transfer": "basic", "objects": list(map(self._place, request.json["objects"]))})
        if parts[0] == "store" and self.refuses_large:
            return Answer(403)
        if parts[0] == "store":
            self.stored[sha256(request.body).hexdigest()] = request.body
            return Answer()
        if parts[4:] == ["commit", "main"]:
            lines = [json.loads(line) for line in request.body.splitlines()]
            files = [line["value"] for line in lines if line["key"] == "file"]
            small = {each["path"]: b64decode(each["content"]) for each in files}
            large = [line["value"] for line in lines if line["key"] == "lfsFile"]
            self.repos[repo] = {**{each["path"]: self.stored[each["oid"]] for each in large}, **small}
            commit = {"commitUrl": f"{self.url}/{repo}/commit/1", "commitOid": "1" * 40, "success": True}
            return Answer(body=commit)
        return Answer(body={"id": repo, "private": self.private[repo]})

    def _place(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Say that a large file is to be put under its hash."""
        return {**wanted, "actions": {"upload": {"href": f"{self.url}/store/{wanted['oid']}"}}}

    def _create(self, request: Request) -> Answer:
        repo = f"{request.json['organization']}/{request.json['name']}"
        exists = repo in self.private
        self.private.setdefault(repo, request.json.get("visibility") == "private")
        return Answer(409 if exists else 200, {"url": f"{self.url}/{repo}"})
