//! The live world: sockets and files of this machine.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use pluto_contract::Submission;
use pluto_contract::world::{Batch, World as _};
use pluto_live::console::{Console, Format, Verbosity};
use pluto_live::{Board, DriverChoice, Grant, Live, Port, Root};
use rustix::net::sockopt::set_socket_linger;
use tempfile::TempDir;

use super::worlds::{Event, Plan, Subject};

/// Handles that the guest can have: fewer than a process can usually have descriptors.
const HANDLES: usize = 4_000;

pub struct LiveWorld {
    live: Live,
    address: SocketAddr,
    root: TempDir,
    clients: Vec<Option<TcpStream>>,
}

impl LiveWorld {
    pub fn new(driver: DriverChoice, plan: &Plan) -> Self {
        let root = TempDir::new().expect("a folder");
        for folder in plan.folders.iter().chain([&".settle"]) {
            fs::create_dir_all(root.path().join(folder)).expect("a folder");
        }
        for (path, content) in &plan.files {
            fs::write(root.path().join(path), content).expect("a file");
        }
        let port = Port::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let address = port.address();
        let grant = Grant {
            ports: vec![port],
            handles_max: HANDLES,
            root: Some(Root::open(root.path()).expect("a root")),
            signals: None,
            board: Board::alone(),
            console: Console::new(Format::Off, Verbosity::Error),
            on_listening: Box::new(|_, _| ()),
        };
        let live = Live::new(driver, grant).expect("a queue");
        Self { live, address, root, clients: Vec::new() }
    }

    fn client(&mut self, client: usize) -> &mut TcpStream {
        self.clients[client].as_mut().expect("it is connected")
    }
}

impl Subject for LiveWorld {
    fn port(&self) -> u16 {
        self.address.port()
    }

    fn submit(&mut self, submission: Submission) {
        self.live.submit(submission);
    }

    fn wait(&mut self) -> Batch {
        self.live.wait().expect("the world goes on")
    }

    fn happen(&mut self, _: usize, event: &Event) -> Option<u64> {
        match event {
            Event::Connects => {
                let client = TcpStream::connect(self.address).expect("it listens");
                client.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
                self.clients.push(Some(client));
            }
            Event::Sends(client, bytes) => self.client(*client).write_all(bytes).expect("it is taken"),
            Event::Ends(client) => self.client(*client).shutdown(Shutdown::Write).expect("it is open"),
            Event::IsReset(client) => {
                let client = self.clients[*client].take().expect("it is connected");
                set_socket_linger(&client, Some(Duration::ZERO)).expect("it can be set");
            }
            Event::Changes(path) => fs::write(self.root.path().join(path), "changed").expect("a file"),
            Event::Removes(path) => fs::remove_file(self.root.path().join(path)).expect("it is there"),
        }
        None
    }

    fn stir(&mut self) -> bool {
        fs::write(self.root.path().join(".settle/now"), "").expect("a file");
        true
    }

    fn client_reads(&mut self, client: usize, bytes: &[u8]) {
        let mut read = vec![0; bytes.len()];
        self.client(client).read_exact(&mut read).expect("it is sent");
        assert!(read == bytes, "client {client} is sent something else");
    }

    fn client_reads_the_end(&mut self, client: usize) {
        assert_eq!(self.client(client).read(&mut [0; 1]).expect("an end"), 0, "client {client} is sent more");
    }
}
