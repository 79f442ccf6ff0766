//! Methods (RFC 9110 §9).

/// A method, as far as the server tells them apart (RFC 9110 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Transfer a representation.
    Get,
    /// The same without the content.
    Head,
    /// Say what is allowed.
    Options,
    /// A method that is known, and that no file allows.
    Refused,
    /// CONNECT, which no file allows either, and whose target is no path.
    Connect,
    /// No method of RFC 9110 or 5789. Also that of a request which was refused before it was
    /// known.
    Unknown,
}

/// The methods that a file allows: the value of `Allow`.
pub const ALLOW: &str = "GET, HEAD, OPTIONS";

impl Method {
    /// Methods are case-sensitive (RFC 9110 §9.1).
    pub fn parse(method: &[u8]) -> Method {
        match method {
            [b'G', b'E', b'T'] => Method::Get,
            b"HEAD" => Method::Head,
            b"OPTIONS" => Method::Options,
            b"POST" | b"PUT" | b"DELETE" | b"TRACE" | b"PATCH" => Method::Refused,
            b"CONNECT" => Method::Connect,
            _ => Method::Unknown,
        }
    }
}
