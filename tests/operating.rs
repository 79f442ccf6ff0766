//! What an operator does with a web server that runs: reload it, watch it, read its log.

use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::guests;
use crate::support::host::Host;
use crate::support::http::Client;

fn pluto() -> String {
    guests::built("pluto").display().to_string()
}

fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "kill -s {name}");
}

/// 10,000 requests on connections that last, and on new ones, beside 100 reloads: each is answered.
#[test]
fn reloads_under_load_lose_no_request_and_no_connection() {
    let host = Host::serve([pluto().as_str(), "0", "html/", "--no-access-log"]);
    let done = AtomicBool::new(false);
    let (pid, address) = (host.pid(), host.address());
    let connect = move || Client::new(TcpStream::connect(address).expect("it accepts"));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(move || {
                    let mut kept = connect();
                    for count in 0..2_500 {
                        let response = match count % 10 {
                            0 => connect().get("/"),
                            _ => kept.get("/index.html"),
                        };
                        assert_eq!(response.status, 200);
                        assert!(response.field("Connection").is_none(), "{}", response.head);
                    }
                })
            })
            .collect();
        let reloading = scope.spawn(|| {
            let mut reloads = 0;
            while reloads < 100 || !done.load(Ordering::Relaxed) {
                signal(pid, "HUP");
                reloads += 1;
            }
        });
        clients.into_iter().for_each(|client| client.join().expect("every request is answered"));
        done.store(true, Ordering::Relaxed);
        reloading.join().expect("it can be signalled");
    });
    signal(pid, "TERM");
    let ended = host.wait();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.output.contains("reloaded: "), "{}", ended.output);
}
