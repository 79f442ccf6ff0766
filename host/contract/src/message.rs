//! The contract's errors in words.

use std::fmt;

use crate::types::Error;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::NotPermitted => "the guest was not granted this",
            Error::BadHandle => "no such handle is open",
            Error::Invalid => "the request makes no sense",
            Error::Busy => "another request of this kind is pending on the connection",
            Error::Cancelled => "the request was cancelled",
            Error::TooLarge => "over the limit for one request",
            Error::Exhausted => "over a limit for all requests together",
            Error::AddressInUse => "the port is taken",
            Error::Disconnected => "the client is gone",
            Error::NotFound => "no file or directory of this name",
            Error::AccessDenied => "the system's permissions forbid it",
            Error::IsDirectory => "a directory, where a file was asked for",
            Error::NotDirectory => "a file, where the path needs a directory",
            Error::NotRegular => "neither a regular file nor a directory",
            Error::Symlink => "a symbolic link, where none is to be followed, or too many of them",
            Error::Truncated => "the file ended before its range did",
            Error::Io => "an error of the system",
        })
    }
}

impl std::error::Error for Error {}
