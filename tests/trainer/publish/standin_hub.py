"""A stand-in for the Hugging Face Hub: repositories of models, and commits of small files."""

from __future__ import annotations

import json
from base64 import b64decode

from tests.standin import Answer, Request, StandIn


class Hub(StandIn):
    """Keeps the files of the last commit to each repository in `repos`, and which of them are private."""

    def __init__(self) -> None:
        super().__init__()
        self.repos: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}

    def reply(self, request: Request) -> Answer:
        parts = request.path.strip("/").split("/")
        if parts == ["api", "validate-yaml"]:
            return Answer(body={"errors": [], "warnings": []})
        if parts == ["api", "repos", "create"]:
            return self._create(request)
        repo = "/".join(parts[2:4])
        if parts[4:] == ["preupload", "main"]:
            files = [{"path": one["path"], "uploadMode": "regular"} for one in request.json["files"]]
            return Answer(body={"files": [{**one, "shouldIgnore": False} for one in files]})
        if parts[4:] == ["commit", "main"]:
            lines = [json.loads(line) for line in request.body.splitlines()]
            values = [line["value"] for line in lines if line["key"] == "file"]
            self.repos[repo] = {value["path"]: b64decode(value["content"]) for value in values}
            commit = {"commitUrl": f"{self.url}/{repo}/commit/1", "commitOid": "1" * 40, "success": True}
            return Answer(body=commit)
        return Answer(body={"id": repo, "private": self.private[repo]})

    def _create(self, request: Request) -> Answer:
        repo = f"{request.json['organization']}/{request.json['name']}"
        exists = repo in self.private
        self.private.setdefault(repo, request.json.get("visibility") == "private")
        return Answer(409 if exists else 200, {"url": f"{self.url}/{repo}"})
