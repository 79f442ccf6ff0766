//! The smallest guest: it logs two lines and ends.

use pluto_sdk::info;
use std::convert::Infallible;

/// Says hello, whatever its arguments.
///
/// Takes them by value because every guest's `main` does.
pub async fn main(_args: Vec<String>) -> Result<(), Infallible> {
    info!("Hello,");
    info!("world!");
    Ok(())
}

pluto_sdk::main!(main);
