//! A small HTTP client that assumes nothing: it reads what is on the wire.

use std::io::{Read, Write};
use std::net::TcpStream;

/// A response, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The three digits of the status.
    pub status: u16,
    /// The head, with its empty line.
    pub head: String,
    /// The content.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Bytes from a connection, of which more may have come than was asked for.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// A client on a connection.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server reads");
    }

    /// Asks for a path, and keeps the connection.
    pub fn get(&mut self, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        self.response(true)
    }

    /// Reads a response; of one to HEAD only the head.
    pub fn response(&mut self, has_body: bool) -> Response {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.more(), "the connection ended in a head: {:?}", String::from_utf8_lossy(&self.buffer));
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).expect("the head is text");
        let status = head.get(9..12).and_then(|digits| digits.parse().ok()).expect("a status");
        let mut response = Response { status, head, body: Vec::new() };
        if has_body && !matches!(status, 204 | 304) {
            let length = response.field("Content-Length").expect("a length").parse().expect("a number");
            while self.buffer.len() < length {
                assert!(self.more(), "the connection ended in a body: {} of {length}", self.buffer.len());
            }
            response.body = self.buffer.drain(..length).collect();
        }
        response
    }

    /// Everything until the server ends the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.buffer)
    }

    /// The connection itself.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn more(&mut self) -> bool {
        let mut bytes = [0; 64 << 10];
        let count = self.stream.read(&mut bytes).expect("the server answers in time");
        self.buffer.extend_from_slice(&bytes[..count]);
        count > 0
    }
}
