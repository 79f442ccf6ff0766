//! A site in a world, and a client that reads responses strictly.

use pluto_sdk::testing::{ClientId, World};

/// The arguments of a server without options.
pub const ARGS: [&str; 2] = ["8000", "html"];

/// A world with a small site and a server of it, with these options.
pub fn serve(options: &[&str]) -> World {
    serve_with(options, |_| ())
}

/// The same, with further files.
pub fn serve_with(options: &[&str], files: impl FnOnce(&mut World)) -> World {
    let mut world = World::new();
    site(&mut world);
    files(&mut world);
    world.start(pluto::main, &[&ARGS[..], options].concat());
    world.run_until_idle();
    world
}

/// The files that every test may count on.
pub fn site(world: &mut World) {
    world.file("index.html", "<h1>home</h1>");
    world.file("a.txt", "alpha");
    world.file("b.css", "beta {}");
    world.file("empty.txt", "");
    world.file("dir/index.html", "<h1>dir</h1>");
    world.file("dir/page.html", "<h1>page</h1>");
    world.file("bare/file", "file");
    world.file("odd dir&/index.html", "odd");
    world.file("caf\u{e9}.txt", "utf-8");
    world.file(b"caf\xe9.txt", "latin-1");
    world.file("back\\slash.txt", "never");
    world.file(".env", "secret");
    world.file(".git/config", "secret");
    world.file("dir/.hidden/index.html", "secret");
    world.file(".well-known/security.txt", "well known");
    world.file(".well-known/.hidden", "secret");
    world.file("denied.txt", "secret");
    world.deny("denied.txt");
    world.symlink("link.txt", "dir/../a.txt");
    world.symlink("out.txt", "../secret.txt");
    world.symlink("absolute.txt", "/etc/passwd");
    world.symlink("loop.txt", "loop.txt");
    world.special("pipe");
    world.directory("odd.html/index.html");
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub content: Vec<u8>,
}

impl Response {
    /// The value of the only field with this name.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values =
            self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let value = values.next().map(String::as_str);
        assert_eq!(values.next(), None, "one {name} in {self:?}");
        value
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.content.clone()).expect("content in UTF-8")
    }
}

/// Takes apart what a client received, which must be whole responses to these methods and nothing
/// else. A response to more requests than there are methods is taken as one to GET.
#[track_caller]
pub fn responses(mut received: &[u8], methods: &[&str]) -> Vec<Response> {
    let mut found = Vec::new();
    while !received.is_empty() {
        let method = methods.get(found.len()).copied().unwrap_or("GET");
        let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a whole head");
        let head = std::str::from_utf8(&received[..end]).expect("a head in ASCII");
        received = &received[end + 4..];
        let mut lines = head.split("\r\n");
        let line = lines.next().expect("a status line");
        let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).expect(line).parse().expect(line);
        let field = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        let fields: Vec<_> = lines.map(|line| field(line).expect(line)).collect();
        let mut response = Response { status, fields, content: Vec::new() };
        assert!(!head.replace("\r\n", "").contains(['\r', '\n']), "no stray line ends: {head:?}");
        let length = response.field("content-length").map(|length| length.parse::<usize>().expect("a length"));
        assert_eq!(length.is_none(), matches!(status, 204 | 304), "a length unless there cannot be content: {head}");
        let length = if method == "HEAD" { 0 } else { length.unwrap_or(0) };
        assert!(received.len() >= length, "{} of {length} bytes of content: {head}", received.len());
        response.content = received[..length].to_vec();
        received = &received[length..];
        found.push(response);
    }
    found
}

/// What became of a connection once the server had nothing more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It waits for another request.
    Kept,
    /// The server has ended its direction, and drops what still comes.
    Lingers,
    /// The server has closed it.
    Closed,
}

pub fn after(world: &World, client: ClientId) -> After {
    match (world.is_closed(client), world.is_ended(client)) {
        (true, _) => After::Closed,
        (false, true) => After::Lingers,
        (false, false) => After::Kept,
    }
}

/// A new client that sends these bytes, in pieces.
pub fn send(world: &mut World, pieces: &[&[u8]]) -> ClientId {
    let client = world.connect();
    world.run_until_idle();
    for piece in pieces {
        if !world.is_closed(client) {
            world.client_sends(client, piece);
            world.run_until_idle();
        }
    }
    client
}

/// A new client that sends one request, and the response.
#[track_caller]
pub fn ask(world: &mut World, request: impl AsRef<[u8]>) -> Response {
    let request = request.as_ref();
    let client = send(world, &[request]);
    let method = if request.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
    let mut found = responses(world.received(client), &[method]);
    assert_eq!(found.len(), 1, "{:?}: {found:?}", String::from_utf8_lossy(request));
    found.remove(0)
}

/// A GET request of HTTP/1.1 for a target.
pub fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: example.org\r\n\r\n")
}

/// The response to a GET request for a target.
#[track_caller]
pub fn get_response(world: &mut World, target: &str) -> Response {
    ask(world, get(target))
}
