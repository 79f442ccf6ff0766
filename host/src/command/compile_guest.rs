//! The hidden command that compiles a guest, in a process which does nothing else.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;

use pluto_engine::compile::{Product, REFUSED, child};
use pluto_messages::cut;

/// Compiles `length` bytes of standard input for the process `parent`, which has started this one.
/// The product goes to standard output, and an error to standard error.
pub fn compile_guest(product: Product, length: u64, parent: i32) -> ExitCode {
    match child::make(product, io::stdin().lock(), length, parent).and_then(|made| write(&made)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody else to tell.
            let _ = io::stderr().write_all(cut(format_args!("{error:#}")).as_bytes());
            ExitCode::from(REFUSED)
        }
    }
}

fn write(made: &[u8]) -> Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(made)?;
    Ok(output.flush()?)
}
