//! Translates the system's errors to those of the contract.

use rustix::io::Errno;

use pluto_contract::Error;

/// Returns the contract's error for an error of the system.
pub fn from_errno(errno: Errno) -> Error {
    match errno {
        Errno::NOENT | Errno::NAMETOOLONG => Error::NotFound,
        Errno::ACCESS | Errno::PERM => Error::AccessDenied,
        Errno::ISDIR => Error::IsDirectory,
        Errno::NOTDIR => Error::NotDirectory,
        // openat2 with RESOLVE_BENEATH, on a path that leaves the root.
        Errno::XDEV => Error::NotPermitted,
        Errno::LOOP => Error::Symlink,
        // A socket in the file system, or a device without a driver.
        Errno::NXIO | Errno::NODEV => Error::NotRegular,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS | Errno::NOSPC => Error::Exhausted,
        Errno::ADDRINUSE => Error::AddressInUse,
        Errno::CONNRESET
        | Errno::PIPE
        | Errno::CONNABORTED
        | Errno::NOTCONN
        | Errno::TIMEDOUT
        | Errno::HOSTUNREACH
        | Errno::NETUNREACH
        | Errno::NETDOWN => Error::Disconnected,
        Errno::INVAL => Error::Invalid,
        _ => Error::Io,
    }
}

/// Returns the contract's error for an error of the standard library.
pub fn from_io(error: &std::io::Error) -> Error {
    Errno::from_io_error(error).map_or(Error::Io, from_errno)
}
