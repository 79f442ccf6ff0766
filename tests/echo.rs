//! The echo server on the live world, on both drivers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::support::guests;
use crate::support::host::Host;

fn on_each_driver(arguments: &[&str], test: impl Fn(&Host)) {
    let echo = guests::built("echo").display().to_string();
    for driver in ["io-uring", "poll"] {
        let mut all = vec!["--driver", driver, &echo, "0"];
        all.extend(arguments);
        test(&Host::serve(all));
    }
}

fn echoes(client: &mut TcpStream, bytes: &[u8]) {
    client.write_all(bytes).expect("it reads");
    let mut back = vec![0; bytes.len()];
    client.read_exact(&mut back).expect("it answers");
    assert!(back == bytes, "{} bytes came back changed", bytes.len());
}

#[test]
fn what_is_sent_comes_back_until_the_client_ends() {
    on_each_driver(&[], |host| {
        let mut client = host.connect();
        for text in ["a", "hello", "\0\u{ff}\r\n"] {
            echoes(&mut client, text.as_bytes());
        }
        client.shutdown(Shutdown::Write).expect("it is connected");
        assert_eq!(client.read(&mut [0; 1]).expect("an end"), 0);
    });
}

#[test]
fn once_is_one_receive_one_send_and_the_end() {
    on_each_driver(&["--once"], |host| {
        let mut client = host.connect();
        client.write_all(b"once").expect("it reads");
        let mut back = String::new();
        client.read_to_string(&mut back).expect("it ends the connection");
        assert_eq!(back, "once");
    });
}

/// More than the sockets hold on the way: the server must stop reading while the client does not,
/// and lose nothing.
#[test]
fn megabytes_come_back_whole_to_a_client_that_reads_late() {
    on_each_driver(&[], |host| {
        let mut client = host.connect();
        let bytes: Vec<u8> = (0..8_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let sent = bytes.clone();
        let mut writer = client.try_clone().expect("a second handle");
        let sending = std::thread::spawn(move || {
            writer.write_all(&sent).expect("it reads");
            writer.shutdown(Shutdown::Write).expect("it is connected");
        });
        std::thread::sleep(std::time::Duration::from_millis(300));
        let mut back = Vec::new();
        client.read_to_end(&mut back).expect("it answers");
        sending.join().expect("all was sent");
        assert!(back == bytes, "{} of {} bytes came back", back.len(), bytes.len());
    });
}

#[test]
fn silent_clients_delay_nobody() {
    on_each_driver(&[], |host| {
        let silent: Vec<TcpStream> = (0..500).map(|_| host.connect()).collect();
        let mut busy: Vec<TcpStream> = (0..50).map(|_| host.connect()).collect();
        for round in 0..20_u8 {
            for client in &mut busy {
                echoes(client, &[round; 100]);
            }
        }
        drop(silent);
        echoes(&mut host.connect(), b"after they left");
    });
}

#[test]
fn clients_that_reset_their_connection_leave_nothing_behind() {
    on_each_driver(&[], |host| {
        let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", host.pid())).expect("it runs").count();
        echoes(&mut host.connect(), b"before");
        let before = descriptors();
        for _ in 0..200 {
            let mut client = host.connect();
            client.write_all(&[7; 5_000]).expect("it reads");
            // Closing with bytes unread resets the connection.
            drop(client);
        }
        let settled = (0..200).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            descriptors() <= before
        });
        assert!(settled, "{} descriptors before, {} after", before, descriptors());
        echoes(&mut host.connect(), b"after");
    });
}
