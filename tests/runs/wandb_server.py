"""As much of a Weights & Biases server as uploading a run and reading it back takes."""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENTITY, PROJECT = "someone", "level-set-loss"

#: A key of the right form, and what must never be written anywhere.
KEY = "5ec2e7" * 6 + "5ec2"


@dataclass
class StoredRun:
    """A run as the server has it.

    Attributes:
        name: Its id.
        state: ``running`` until its exit code says ``finished`` or ``failed``.
        config: ``{key: {"value": ...}}``.
        summary: Last values.
        files: Content by name.
    """

    name: str
    state: str = "running"
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    def matches(self, filters: dict[str, Any]) -> bool:
        """Whether the run passes ``{"state": ..., "config.KEY": {"$in": [...]}}``."""
        for key, wanted in filters.items():
            found = self.state
            if key.startswith("config."):
                found = self.config.get(key.removeprefix("config."), {}).get("value")
            if found not in (wanted["$in"] if isinstance(wanted, dict) else [wanted]):
                return False
        return True

    def node(self) -> dict[str, Any]:
        """Its answer in GraphQL."""
        return {
            "id": self.name,
            "tags": self.about.get("tags", []),
            "name": self.name,
            "displayName": self.about.get("displayName", self.name),
            "sweepName": None,
            "state": self.state,
            "config": json.dumps(self.config),
            "group": self.about.get("groupName"),
            "jobType": self.about.get("jobType"),
            "commit": None,
            "readOnly": False,
            "createdAt": "2026-01-01T00:00:00Z",
            "heartbeatAt": "2026-01-01T00:00:00Z",
            "description": None,
            "notes": None,
            "systemMetrics": "{}",
            "summaryMetrics": json.dumps(self.summary),
            "historyLineCount": 0,
            "user": {"name": ENTITY, "username": ENTITY},
            "historyKeys": None,
            "projectId": 1,
        }


class _Server(ThreadingHTTPServer):
    """Takes as many connections at once as wandb opens."""

    request_queue_size = 256


class WandbServer:
    """Runs in a thread.

    Attributes:
        url: Its address.
        runs: By id.
        asked: Every GraphQL operation that came.
        filtering: Whether runs are filtered.
        naming: Whether only the files that were asked for are listed.
        refusing: Whether no key is right.
    """

    def __init__(self) -> None:
        self.runs: dict[str, StoredRun] = {}
        self.asked: list[str] = []
        self.filtering = self.naming = True
        self.refusing = False
        store = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                """Nothing."""

            def body(self) -> bytes:
                data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data

            def answer(self, content: bytes, status: int = 200) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                _, _, run, name = [*self.path.split("/", 3), "", "", ""][:4]
                found = store.runs.get(run)
                self.answer(b"ok" if found is None else found.files[name])

            def do_PUT(self) -> None:
                _, _, run, name = self.path.split("/", 3)
                store.runs[run].files[name] = self.body()
                self.answer(b"")

            def do_POST(self) -> None:
                body = self.body()
                result: dict[str, Any] = {}
                if self.path == "/graphql":
                    data = json.loads(body)
                    result = store.graphql(data["query"], data.get("variables") or {})
                elif self.path.endswith("/file_stream"):
                    result = store.stream(self.path.split("/")[-2], json.loads(body))
                self.answer(json.dumps(result).encode(), 401 if store.refusing else 200)

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def stream(self, run: str, data: dict[str, Any]) -> dict[str, Any]:
        """Take what a run streams: its summary and its end."""
        stored = self.runs[run]
        summaries = (data.get("files") or {}).get("wandb-summary.json", {}).get("content", [])
        for line in summaries:
            stored.summary = json.loads(line)
        if data.get("complete"):
            stored.state = "failed" if data.get("exitcode") else "finished"
        return {}

    def graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Answer one operation."""
        name = re.search(r"(?:query|mutation)\s+(\w+)", query)
        operation = name[1] if name else query[:60]
        self.asked.append(operation)
        answer = getattr(self, f"on_{operation.lower()}", None)
        return {"data": answer(variables) if answer else {}}

    def on_viewer(self, _: dict[str, Any]) -> dict[str, Any]:
        viewer = {"id": "1", "entity": ENTITY, "username": ENTITY, "teams": {"edges": []}}
        return {"viewer": {**viewer, "flags": "{}", "email": "", "name": ENTITY}}

    on_getdefaultentity = on_viewer

    def on_serverfeaturesquery(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"serverInfo": {"features": []}}

    def on_runresumestatus(self, variables: dict[str, Any]) -> dict[str, Any]:
        project = {"id": "1", "name": PROJECT, "entity": {"id": "1", "name": ENTITY}}
        run = self.runs.get(variables["name"])
        bucket = None
        if run is not None:
            history = {"historyLineCount": 0, "eventsLineCount": 0, "logLineCount": 0}
            tails = {"historyTail": "[]", "eventsTail": "[]", "wandbConfig": '{"t": 1}'}
            bucket = {**run.node(), **history, **tails}
        return {"model": {**project, "bucket": bucket}}

    def on_upsertbucket(self, variables: dict[str, Any]) -> dict[str, Any]:
        name = variables["name"]
        inserted = name not in self.runs
        run = self.runs.setdefault(name, StoredRun(name))
        run.config = json.loads(variables["config"] or "{}")
        run.about |= {key: value for key, value in variables.items() if value is not None}
        run.state = "running"
        entity = {"id": "1", "name": ENTITY}
        project = {"id": "1", "name": variables["project"], "entity": entity}
        return {
            "upsertBucket": {"bucket": {**run.node(), "project": project}, "inserted": inserted}
        }

    def on_createrunfiles(self, variables: dict[str, Any]) -> dict[str, Any]:
        run = variables["run"]
        files = [
            {"name": name, "uploadUrl": f"{self.url}/storage/{run}/{name}"}
            for name in variables["files"]
        ]
        return {"createRunFiles": {"runID": run, "uploadHeaders": [], "files": files}}

    def on_artifacttype(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"project": None}

    def on_createartifact(self, variables: dict[str, Any]) -> dict[str, Any]:
        """The server has it already: nothing is uploaded."""
        sequence = {"id": "1", "latestArtifact": {"id": "1", "versionIndex": 0}}
        artifact = {"id": "1", "state": "COMMITTED", "artifactSequence": sequence}
        return {"createArtifact": {"artifact": artifact}}

    def on_runs(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Pages of the runs that pass the filters."""
        if (variables["entity"], variables["project"]) != (ENTITY, PROJECT):
            return {"project": None}
        filters = json.loads(variables["filters"])
        found = [run for run in self.runs.values() if run.matches(filters) or not self.filtering]
        start = int(variables.get("cursor") or 0)
        end = start + variables["perPage"]
        edges = [{"node": run.node(), "cursor": str(end)} for run in found[start:end]]
        page = {"endCursor": str(end), "hasNextPage": end < len(found)}
        runs = {"edges": edges, "pageInfo": page}
        about = {"internalId": "1", "readOnly": False, "runCount": len(found)}
        return {"project": {**about, "runs": runs}}

    def on_runfiles(self, variables: dict[str, Any]) -> dict[str, Any]:
        run = self.runs[variables["name"]]
        asked = variables.get("fileNames")
        wanted = asked if asked and self.naming else list(run.files)
        edges = [
            {
                "node": {
                    "id": name,
                    "name": name,
                    "url": f"{self.url}/storage/{run.name}/{name}",
                    "directUrl": f"{self.url}/storage/{run.name}/{name}",
                    "sizeBytes": len(run.files[name]),
                    "mimetype": None,
                    "updatedAt": None,
                    "md5": None,
                },
                "cursor": name,
            }
            for name in wanted
            if name in run.files
        ]
        page = {"endCursor": None, "hasNextPage": False}
        files = {"edges": edges, "pageInfo": page}
        return {"project": {"internalId": "1", "run": {"fileCount": len(edges), "files": files}}}


@contextmanager
def serve() -> Iterator[WandbServer]:
    """A running server."""
    server = WandbServer()
    threading.Thread(target=server.server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.server.shutdown()
        server.server.server_close()
