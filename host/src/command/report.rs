//! Messages of the host to its operator.

use std::io::{self, Write};

use crate::console;

/// Writes a message of the host to standard error. While the host serves, this does not wait for
/// whoever reads it.
pub fn report(message: &str) {
    if !console::say(message) {
        // Nobody may be there to read it; that is no reason to end.
        let _ = io::stderr().write_all(console::line_of(message).as_bytes());
    }
}
