//! The ports that a guest is granted, bound before it runs.

use std::net::SocketAddr;

use anyhow::{Result, anyhow, bail};
use rustix::io::Errno;

use crate::cli::Run;
use crate::limits;
use pluto_live::Port;

/// Binds the guest's port, then the ports of `--grant-port`.
pub fn bind_ports(run: &Run) -> Result<Vec<Port>> {
    if run.grant_ports.len() > limits::PORTS_GRANTED_MAX {
        bail!(
            "--grant-port was given {} times: at most {} ports can be granted",
            run.grant_ports.len(),
            limits::PORTS_GRANTED_MAX
        );
    }
    let mut addresses = vec![SocketAddr::new(run.listen, run.port)];
    for address in &run.grant_ports {
        let port = address.port();
        if port != 0 && addresses.iter().any(|other| other.port() == port) {
            bail!("port {port} is granted twice: a guest identifies ports by number, so grant each number once");
        }
        addresses.push(*address);
    }
    addresses.iter().map(|address| Port::bind(*address).map_err(|error| explain_bind(*address, error))).collect()
}

fn explain_bind(address: SocketAddr, error: Errno) -> anyhow::Error {
    let port = address.port();
    match error {
        Errno::ADDRINUSE => anyhow!(port_in_use(port)),
        Errno::ACCESS | Errno::PERM => {
            anyhow!("port {port} is not permitted: ports below 1024 need privileges; choose one above, such as 8000")
        }
        Errno::ADDRNOTAVAIL => {
            anyhow!(
                "{} is not an address of this machine: correct --listen or --grant-port (`ip address` lists the addresses)",
                address.ip()
            )
        }
        error => anyhow!("cannot listen on {address}: {}", std::io::Error::from(error)),
    }
}

/// Returns the message about a port that another program uses.
pub fn port_in_use(port: u16) -> String {
    format!("port {port} is in use: stop the program that has it, or choose another port (0 lets the system choose)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_forbids_a_port_is_explained() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        for (errno, says) in [
            (Errno::ACCESS, "ports below 1024 need privileges"),
            (Errno::ADDRINUSE, "port 80 is in use"),
            (Errno::ADDRNOTAVAIL, "--listen"),
        ] {
            let message = explain_bind(address, errno).to_string();
            assert!(message.contains(says), "no {says:?} in {message:?}");
        }
    }
}
