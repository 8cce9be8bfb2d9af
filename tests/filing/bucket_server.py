"""A small server that speaks as much of the S3 protocol as a client of files needs, on the loopback."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape
from urllib.parse import parse_qs, unquote

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

BUCKET = "files"
KEY = re.compile(r"<Key>(.*?)</Key>")


@dataclass
class BucketServer:
    """What is in the bucket.

    Attributes:
        objects: Contents by key.
        uploads: Parts of unfinished uploads, by upload and number.
        refuses: Status that every request gets, 0 for none.
        keys: Access keys that requests were signed with.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    refuses: int = 0
    keys: set[str] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        await (await self._answer(request))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if signed := re.search(r"Credential=([^/]+)/", request.headers.get("authorization", "")):
            self.keys.add(signed[1])
        if self.refuses:
            return Response("<Error><Code>Refused</Code></Error>", self.refuses)
        bucket, _, key = unquote(request.url.path).lstrip("/").partition("/")
        if bucket != BUCKET:
            return Response("<Error><Code>NoSuchBucket</Code></Error>", 404)
        query = {name: values[0] for name, values in parse_qs(request.url.query, keep_blank_values=True).items()}
        body = await request.body()
        if not key:
            return self._of_bucket(request.method, query, body)
        if "uploads" in query or "uploadId" in query:
            return self._upload(request.method, key, query, body)
        return self._of_object(request, key, body)

    def _of_bucket(self, method: str, query: dict[str, str], body: bytes) -> Response:
        if method == "POST" and "delete" in query:
            gone = [key for key in KEY.findall(body.decode()) if self.objects.pop(key, None) is not None]
            rows = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in gone)
            return Response(f"<DeleteResult>{rows}</DeleteResult>", media_type="application/xml")
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        found = [key for key in sorted(self.objects) if key.startswith(query.get("prefix", ""))]
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{now}</LastModified><ETag>{_tag(self.objects[key])}</ETag>"
            f"<Size>{len(self.objects[key])}</Size></Contents>"
            for key in found
        )
        text = f"<ListBucketResult><Name>{BUCKET}</Name><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"
        return Response(text, media_type="application/xml")

    def _upload(self, method: str, key: str, query: dict[str, str], body: bytes) -> Response:
        if "uploads" in query:
            name = f"upload-{len(self.uploads)}"
            self.uploads[name] = {}
            return Response(
                f"<InitiateMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{escape(key)}</Key>"
                f"<UploadId>{name}</UploadId></InitiateMultipartUploadResult>"
            )
        name = query["uploadId"]
        if method == "PUT":
            self.uploads[name][int(query["partNumber"])] = body
            return Response(headers={"ETag": _tag(body)})
        parts = self.uploads.pop(name)
        if method == "DELETE":
            return Response(status_code=204)
        self.objects[key] = b"".join(parts[number] for number in sorted(parts))
        return Response(
            f"<CompleteMultipartUploadResult><Key>{escape(key)}</Key><ETag>{_tag(self.objects[key])}</ETag>"
            "</CompleteMultipartUploadResult>"
        )

    def _of_object(self, request: Request, key: str, body: bytes) -> Response:
        if request.method == "PUT":
            self.objects[key] = body
            return Response(headers={"ETag": _tag(body)})
        if key not in self.objects:
            return Response("<Error><Code>NoSuchKey</Code></Error>", 404)
        if request.method == "DELETE":
            del self.objects[key]
            return Response(status_code=204)
        data = self.objects[key]
        headers = {"ETag": _tag(data), "Last-Modified": format_datetime(datetime.now(UTC), usegmt=True)}
        if request.method == "HEAD":
            return Response(headers={**headers, "Content-Length": str(len(data))})
        wished = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if wished is None:
            return Response(data, headers=headers)
        start, end = int(wished[1]), min(int(wished[2] or len(data)) + 1, len(data))
        return Response(data[start:end], 206, {**headers, "Content-Range": f"bytes {start}-{end - 1}/{len(data)}"})


@asynccontextmanager
async def bucket_server() -> AsyncIterator[tuple[BucketServer, str]]:
    """Yield a server with an empty bucket, and its URL."""
    bucket = BucketServer()
    server = uvicorn.Server(uvicorn.Config(bucket, port=0, log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield bucket, f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


def _tag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
