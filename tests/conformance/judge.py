"""Holds the web server's responses against httplint and REDbot: no note of the level `bad`. Python's http.client and curl
must read out of them what was meant.

`cargo xtask judge` runs it, in a Python that has both packages. Notes of the level `warning` are printed too.
"""

import http.client
import multiprocessing
import pathlib
import subprocess
import sys
import tempfile
import urllib.parse
from configparser import ConfigParser

import thor
from httplint.message import HttpResponseLinter
from httplint.note import levels
from redbot.resource import HttpResource

import suite

# REDbot asks about twenty times for each page; something is wrong when that takes longer.
REDBOT_SECONDS = 30

# Fields that are sent, and the status that is expected. `{etag}` and `{modified}` are those of the path.
REQUESTS = [
    ("/", [], 200),
    ("/12345.txt", [], 200),
    ("/style.css", [], 200),
    ("/image.jpg", [], 200),
    ("/empty.txt", [], 200),
    ("/thousand.txt", ["Range: bytes=0-9"], 206),
    ("/thousand.txt", ["Range: bytes=0-9,20-29"], 206),
    ("/thousand.txt", ["Range: bytes=5000-"], 416),
    ("/thousand.txt", ["If-Range: {etag}", "Range: bytes=-10"], 206),
    ("/dir", [], 301),
    ("/thousand.txt", ["If-None-Match: {etag}"], 304),
    ("/thousand.txt", ["If-Modified-Since: {modified}"], 304),
    ("/thousand.txt", ["If-Match: \"other\""], 412),
    ("/missing", [], 404),
    ("/missing.txt", ["Accept-Encoding: gzip"], 404),
    ("/%", [], 400),
    ("/packed.css", [], 200),
    ("/packed.css", ["Accept-Encoding: gzip"], 200),
    ("/packed.css", ["Accept-Encoding: gzip", "Range: bytes=0-9"], 206),
    ("/packed.css", ["Accept-Encoding: gzip", "If-None-Match: {etag}"], 304),
]

# The same, of a site with the configuration of cases/policy.toml.
POLICY_REQUESTS = [
    ("/old?a=b", [], 301),
    ("/blog/2026/a", [], 302),
    ("/to/12345.txt", [], 307),
    ("/away/a", [], 308),
    ("/12345.txt", [], 200),
    ("/dir/page", ["Origin: https://a.example"], 200),
    ("/dir/page", ["If-None-Match: {etag}"], 304),
    ("/dir/page.html", [], 301),
    ("/bare/", [], 200),
    ("/bare/", ["Accept: application/json"], 200),
    ("/missing", [], 404),
    ("/secret/file.txt", [], 401),
    ("/secret/file.txt", ["Authorization: Basic YWxpY2U6VSpV"], 200),
]

# Notes of the level `bad` that are wrong themselves: the beginning of the request, the summary, and why.
MISTAKEN = [
    (
        "GET /thousand.txt Range: bytes=0-9,20-29",
        "This response is partial, but doesn't have a Content-Range header.",
        "RFC 9110 §15.3.7.2: in multipart/byteranges each part has its own, and the response must have none",
    ),
]

# What REDbot looks at by itself: it asks again, with conditions, ranges and encodings.
PAGES = ["/", "/12345.txt", "/style.css", "/packed.css", "/thousand.txt", "/40000.txt", "/image.jpg", "/dir", "/missing"]


def request(address, method, path, fields):
    """The head's lines and the content of a response."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *fields, "", ""]
    received, _ = suite.converse(address, "\r\n".join(lines).encode(), 5)
    head, _, content = received.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), content


def field(lines, name):
    values = [line.split(b": ", 1)[1] for line in lines[1:] if line.lower().startswith(name + b":")]
    return values[0].decode() if values else "\"none\""


def lint(address, method, path, fields, expected, scheme):
    """What is wrong with a response, and what httplint notes."""
    encodings = [field for field in fields if field.startswith("Accept-Encoding")]
    known, _ = request(address, "HEAD", path, encodings)
    validators = {"etag": field(known, b"etag"), "modified": field(known, b"last-modified")}
    lines, content = request(address, method, path, [line.format(**validators) for line in fields])
    version, status, phrase = lines[0].split(b" ", 2)
    linter = HttpResponseLinter(no_content=method == "HEAD")
    linter.base_uri = f"{scheme}://localhost{path}"
    linter.process_response_topline(version.removeprefix(b"HTTP/"), status, phrase)
    linter.process_headers([tuple(line.split(b": ", 1)) for line in lines[1:]])
    if content:
        linter.feed_content(content)
    linter.finish_content(True, [])
    wrong = [] if int(status) == expected else [f"the status is {status.decode()}, not {expected}"]
    return wrong, summaries(linter.notes)


def lint_all(address, requests, scheme="http"):
    """Prints what matters of the responses to GET and HEAD; how much of it is wrong."""
    failures = 0
    for path, fields, expected in requests:
        for method in ("GET", "HEAD"):
            what = f"{method} {path} {'; '.join(fields)}"
            # RFC 9110 §14.2: a range is for GET alone.
            status = 200 if method == "HEAD" and expected in (206, 416) else expected
            wrong, notes = lint(address, method, path, fields, status, scheme)
            for problem in wrong:
                print(f"status   {what}: {problem}")
            failures += len(wrong) + tell(what, notes)
    return failures


def redbot(url):
    """What REDbot notes of a page. It has an event loop for each process, which is used once."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply_async(examine, (url,)).get(timeout=REDBOT_SECONDS)


def examine(url):
    """Levels, summaries and subjects of the notes on a page, and on the requests that REDbot makes by itself."""
    parser = ConfigParser()
    parser.read_dict({"redbot": {"enable_local_access": "True"}})
    resource = HttpResource(parser["redbot"], descend=False)
    resource.set_request(url)
    resource.on("check_done", lambda: thor.schedule(0.1, thor.stop))
    resource.check()
    thor.run()
    notes = list(resource.response.notes)
    for check in resource.subreqs.values():
        notes.extend(check.response.notes)
    return summaries(notes)


def summaries(notes):
    return [(note.level.value, str(note.summary), note.subject) for note in notes]


def tell(what, notes):
    """Prints what matters; how many notes are bad."""
    bad = 0
    for level, summary, subject in notes:
        if any(what.startswith(request) and summary == text for request, text, _ in MISTAKEN):
            continue
        bad += level == levels.BAD.value
        if level in (levels.BAD.value, levels.WARN.value):
            print(f"{level:8} {what}: {summary} ({subject})")
    return bad


def read_by_python(address, site):
    """What http.client reads otherwise than it is there, on one connection."""
    connection = http.client.HTTPConnection(*address, timeout=5)
    for file in files(site):
        path = "/" + urllib.parse.quote(str(file.relative_to(site)))
        connection.request("GET", path)
        response = connection.getresponse()
        if (response.status, response.read()) != (200, file.read_bytes()):
            yield f"http.client: {path}: {response.status}"
        connection.request("HEAD", path)
        head = connection.getresponse()
        if head.read() or head.headers["Content-Length"] != str(file.stat().st_size):
            yield f"http.client: HEAD {path}: {head.headers.items()}"


def read_by_curl(address, site):
    """What curl reads otherwise than it is there: whole, in parts, resumed, and not at all when it is not newer."""
    base = f"http://{address[0]}:{address[1]}"

    def curl(*arguments):
        return subprocess.run(["curl", "-sS", "-m", "10", *arguments], capture_output=True, check=True).stdout

    for file in files(site):
        path = "/" + urllib.parse.quote(str(file.relative_to(site)))
        content = file.read_bytes()
        asked = {
            "whole": (curl(base + path), content),
            "encoded": (curl("--compressed", base + path), content),
            "the first five bytes": (curl("-r", "0-4", base + path), content[:5]),
            "the last five bytes": (curl("-r", "-5", base + path), content[-5:]),
            "not newer": (curl("-z", str(file), base + path), b""),
        }
        for what, (found, expected) in asked.items():
            if found != expected and content:
                yield f"curl: {path}, {what}: {found[:60]}"


def files(site):
    hidden = (".env", ".git", "404.html")
    return [path for path in sorted(site.rglob("*")) if path.is_file() and not set(path.parts) & set(hidden)]


def main():
    with tempfile.TemporaryDirectory() as folder:
        site = pathlib.Path(folder)
        suite.make_site(site)
        pack(site)
        failures = 0
        with suite.Pluto(site) as pluto:
            failures += lint_all(pluto.address, REQUESTS)
            for path in PAGES:
                name, port = pluto.address
                failures += tell(f"REDbot {path}", redbot(f"http://{name}:{port}{path}"))
            for problem in [*read_by_python(pluto.address, site), *read_by_curl(pluto.address, site)]:
                print(f"client   {problem}")
                failures += 1
        cases = dict(suite.suites())["policy"]
        configured = site / "configured"
        suite.make_site(configured, cases["files"])
        with suite.Pluto(configured) as pluto:
            # As clients see it behind something that speaks TLS: Strict-Transport-Security means nothing without.
            failures += lint_all(pluto.address, POLICY_REQUESTS, "https")
        print(f"{len(REQUESTS + POLICY_REQUESTS) * 2} responses and {len(PAGES)} pages, {failures} failures")
        return 1 if failures else 0


def pack(site):
    """A file with a smaller twin."""
    import gzip

    plain = b"body { color: black }\n" * 200
    (site / "packed.css").write_bytes(plain)
    (site / "packed.css.gz").write_bytes(gzip.compress(plain, mtime=0))


if __name__ == "__main__":
    sys.exit(main())
