//! A server without logic: the cost that every server on this machine has for receiving a request
//! and sending an answer. `cargo xtask bench` measures the other servers beside it.
//!
//! `floor PORT ANSWER` sends the bytes of the file ANSWER for every piece of input that arrives,
//! and closes the connection afterwards if the answer says so. It has one thread, one `epoll_wait`
//! for everything that is ready, and one `recv` and one `send` for each request.

use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result, bail};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, sockopt};

/// What is ready, at once.
const EVENTS_MAX: usize = 512;

/// Bytes of a request, or of several.
const RECEIVE_BYTES_MAX: usize = 16 << 10;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(port), Some(answer)) = (arguments.next(), arguments.next()) else { bail!("usage: floor PORT ANSWER") };
    let answer = std::fs::read(&answer).with_context(|| format!("cannot read {answer}"))?;
    let listener = TcpListener::bind(("127.0.0.1", port.parse().context("PORT is a number")?))?;
    listener.set_nonblocking(true)?;
    // Connections inherit it.
    sockopt::set_tcp_nodelay(&listener, true)?;
    serve(&listener, &answer)
}

fn serve(listener: &TcpListener, answer: &[u8]) -> Result<()> {
    let closes = answer.windows(17).any(|bytes| bytes.eq_ignore_ascii_case(b"connection: close"));
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let listening = listener.as_raw_fd() as u64;
    epoll::add(&epoll, listener, EventData::new_u64(listening), EventFlags::IN)?;
    // By the numbers of their descriptors, which the system chooses as low as it can.
    let mut clients: Vec<Option<OwnedFd>> = Vec::new();
    let mut events = Vec::with_capacity(EVENTS_MAX);
    let mut buffer = [0; RECEIVE_BYTES_MAX];
    loop {
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let number = event.data.u64();
            if number == listening {
                accept(listener, &epoll, &mut clients)?;
                continue;
            }
            let Some(slot) = clients.get_mut(number as usize) else { continue };
            let Some(client) = slot else { continue };
            let goes_on = match rustix::net::recv(&client, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => false,
                Ok(_) => send(client, answer)? && !closes,
                Err(Errno::AGAIN) => true,
                Err(_) => false,
            };
            if !goes_on {
                *slot = None;
            }
        }
    }
}

/// Sends the answer; whether the client is still there.
fn send(client: &OwnedFd, answer: &[u8]) -> Result<bool> {
    match rustix::net::send(client, answer, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Ok(sent) if sent == answer.len() => Ok(true),
        Ok(_) | Err(Errno::AGAIN) => bail!("an answer of {} bytes is more than a socket takes at once", answer.len()),
        Err(_) => Ok(false),
    }
}

fn accept(listener: &TcpListener, epoll: &OwnedFd, clients: &mut Vec<Option<OwnedFd>>) -> Result<()> {
    loop {
        let client = match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(client) => client,
            Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::CONNABORTED | Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        let number = client.as_raw_fd() as usize;
        epoll::add(epoll, &client, EventData::new_u64(number as u64), EventFlags::IN | EventFlags::ET)?;
        if clients.len() <= number {
            clients.resize_with(number + 1, || None);
        }
        clients[number] = Some(client);
    }
}
