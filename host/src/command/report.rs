//! Messages of the host to its operator.

use std::io::{self, Write};

use pluto_contract::Level;
use pluto_live::console;

/// Writes a message of the host to standard error. While the host serves, the message has the form
/// of the log, and this does not wait for whoever reads it.
pub fn report(message: &str) {
    write(Level::Info, message);
}

/// Writes why the process does not go on.
pub fn report_error(message: &str) {
    write(Level::Error, message);
}

fn write(level: Level, message: &str) {
    if !console::say(level, message) {
        // Ignore the error when nobody reads standard error.
        let _ = io::stderr().write_all(console::line_of(message).as_bytes());
    }
}
