//! The smallest guest: it logs two lines and ends.

use pluto_sdk::info;
use std::convert::Infallible;

/// Logs hello, whatever the arguments are.
///
/// The arguments are taken by value, as in every guest's `main`.
pub async fn main(_args: Vec<String>) -> Result<(), Infallible> {
    info!("Hello,");
    info!("world!");
    Ok(())
}

pluto_sdk::main!(main);
