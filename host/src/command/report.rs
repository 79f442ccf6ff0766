//! Messages of the host to its operator.

use std::io::{self, Write};

use pluto_live::console;

/// Writes a message of the host to standard error. While the host serves, this does not wait for
/// whoever reads it.
pub fn report(message: &str) {
    if !console::say(message) {
        // Ignore the error when nobody reads standard error.
        let _ = io::stderr().write_all(console::line_of(message).as_bytes());
    }
}
