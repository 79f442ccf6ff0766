//! Status codes that the server sends, and errors: why a request gets no representation.

/// A status code (RFC 9110 §15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of RFC 9110 §15")]
pub enum Status {
    Ok = 200,
    NoContent = 204,
    PartialContent = 206,
    MovedPermanently = 301,
    Found = 302,
    NotModified = 304,
    TemporaryRedirect = 307,
    PermanentRedirect = 308,
    BadRequest = 400,
    Unauthorized = 401,
    Forbidden = 403,
    NotFound = 404,
    MethodNotAllowed = 405,
    NotAcceptable = 406,
    RequestTimeout = 408,
    PreconditionFailed = 412,
    UriTooLong = 414,
    RangeNotSatisfiable = 416,
    ExpectationFailed = 417,
    MisdirectedRequest = 421,
    HeadTooLarge = 431,
    InternalServerError = 500,
    NotImplemented = 501,
    ServiceUnavailable = 503,
    VersionNotSupported = 505,
}

impl Status {
    /// The number.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The whole status line, with its end. The version is the server's own, whatever the client's
    /// minor version (RFC 9110 §6.2).
    pub fn line(self) -> &'static str {
        match self {
            Status::Ok => "HTTP/1.1 200 OK\r\n",
            Status::NoContent => "HTTP/1.1 204 No Content\r\n",
            Status::PartialContent => "HTTP/1.1 206 Partial Content\r\n",
            Status::MovedPermanently => "HTTP/1.1 301 Moved Permanently\r\n",
            Status::Found => "HTTP/1.1 302 Found\r\n",
            Status::NotModified => "HTTP/1.1 304 Not Modified\r\n",
            Status::TemporaryRedirect => "HTTP/1.1 307 Temporary Redirect\r\n",
            Status::PermanentRedirect => "HTTP/1.1 308 Permanent Redirect\r\n",
            Status::BadRequest => "HTTP/1.1 400 Bad Request\r\n",
            Status::Unauthorized => "HTTP/1.1 401 Unauthorized\r\n",
            Status::Forbidden => "HTTP/1.1 403 Forbidden\r\n",
            Status::NotFound => "HTTP/1.1 404 Not Found\r\n",
            Status::MethodNotAllowed => "HTTP/1.1 405 Method Not Allowed\r\n",
            Status::NotAcceptable => "HTTP/1.1 406 Not Acceptable\r\n",
            Status::PreconditionFailed => "HTTP/1.1 412 Precondition Failed\r\n",
            Status::RangeNotSatisfiable => "HTTP/1.1 416 Range Not Satisfiable\r\n",
            Status::RequestTimeout => "HTTP/1.1 408 Request Timeout\r\n",
            Status::UriTooLong => "HTTP/1.1 414 URI Too Long\r\n",
            Status::ExpectationFailed => "HTTP/1.1 417 Expectation Failed\r\n",
            Status::MisdirectedRequest => "HTTP/1.1 421 Misdirected Request\r\n",
            Status::HeadTooLarge => "HTTP/1.1 431 Request Header Fields Too Large\r\n",
            Status::InternalServerError => "HTTP/1.1 500 Internal Server Error\r\n",
            Status::NotImplemented => "HTTP/1.1 501 Not Implemented\r\n",
            Status::ServiceUnavailable => "HTTP/1.1 503 Service Unavailable\r\n",
            Status::VersionNotSupported => "HTTP/1.1 505 HTTP Version Not Supported\r\n",
        }
    }

    /// The code and the reason phrase, cut out of the line: `HTTP/1.1 404 Not Found\r\n`.
    pub fn title(self) -> &'static str {
        let line = self.line();
        &line["HTTP/1.1 ".len()..line.len() - "\r\n".len()]
    }
}

/// Why a request is answered by an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpError {
    /// The status of the answer.
    pub status: Status,
    /// A sentence for whoever sent the request: what was expected and what was found. It never
    /// repeats the request, and stands in a page as it is.
    pub why: &'static str,
    /// Whether the connection ends with the answer: it is no longer certain where the next request
    /// begins, or the client is not to be trusted to know.
    pub fatal: bool,
}

impl HttpError {
    /// An error that ends the connection.
    pub const fn fatal(status: Status, why: &'static str) -> HttpError {
        HttpError { status, why: html(why), fatal: true }
    }

    /// A malformed request: 400, and the connection ends.
    pub const fn bad(why: &'static str) -> HttpError {
        HttpError::fatal(Status::BadRequest, why)
    }

    /// A error of this one request, after which the connection can be kept.
    pub const fn soft(status: Status, why: &'static str) -> HttpError {
        HttpError { status, why: html(why), fatal: false }
    }

    /// There is nothing of that name. One sentence for all its reasons: a hidden file is not to be
    /// told from none.
    pub const NOT_FOUND: HttpError = HttpError::soft(Status::NotFound, "There is nothing at this address.");
}

/// A text that is HTML as it is.
const fn html(text: &'static str) -> &'static str {
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        assert!(!matches!(byte, b'&' | b'<' | b'>'), "a sentence that is no HTML");
        rest = tail;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_has_the_number_and_the_reason() {
        let check = |status: Status, reason: &str| {
            assert_eq!(status.line(), format!("HTTP/1.1 {} {reason}\r\n", status.code()));
            assert_eq!(status.title(), format!("{} {reason}", status.code()));
        };
        check(Status::Ok, "OK");
        check(Status::NoContent, "No Content");
        check(Status::PartialContent, "Partial Content");
        check(Status::NotModified, "Not Modified");
        check(Status::NotAcceptable, "Not Acceptable");
        check(Status::PreconditionFailed, "Precondition Failed");
        check(Status::RangeNotSatisfiable, "Range Not Satisfiable");
        check(Status::MovedPermanently, "Moved Permanently");
        check(Status::Found, "Found");
        check(Status::TemporaryRedirect, "Temporary Redirect");
        check(Status::PermanentRedirect, "Permanent Redirect");
        check(Status::BadRequest, "Bad Request");
        check(Status::Unauthorized, "Unauthorized");
        check(Status::MisdirectedRequest, "Misdirected Request");
        check(Status::Forbidden, "Forbidden");
        check(Status::NotFound, "Not Found");
        check(Status::MethodNotAllowed, "Method Not Allowed");
        check(Status::RequestTimeout, "Request Timeout");
        check(Status::UriTooLong, "URI Too Long");
        check(Status::ExpectationFailed, "Expectation Failed");
        check(Status::HeadTooLarge, "Request Header Fields Too Large");
        check(Status::InternalServerError, "Internal Server Error");
        check(Status::NotImplemented, "Not Implemented");
        check(Status::ServiceUnavailable, "Service Unavailable");
        check(Status::VersionNotSupported, "HTTP Version Not Supported");
    }
}
