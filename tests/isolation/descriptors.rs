//! A service that may open 1,024 files, as many are by default.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::calls::{Beside, Calls, own_token};
use crate::issuer::{Counts, Issuer, Latency, REFUSAL};
use crate::process::{Peak, is_apart, run_apart};
use crate::subjects::trouble;
use crate::{CAP, alone, head, measured, run, scene_length};

const LATENCY: Latency = Latency::constant(300);
const SLACK: Duration = Duration::from_millis(200);
const OPEN_FILES: u32 = 1024;

#[test]
fn with_1024_open_files_nothing_of_the_services_own_fails_while_bogus_tokens_come_at_1000_a_second() {
    let _alone = alone();
    run_apart("descriptors::service", Some(OPEN_FILES));
}

#[test]
#[ignore = "the scene of the test above, in a process of its own"]
fn service() {
    if !is_apart() {
        return;
    }
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    assert_eq!(limit.split_whitespace().next(), Some(OPEN_FILES.to_string().as_str()));
    measured(|| {
        head(
            "1,024 open files | own tokens | p50 | p99 | own connections | p50 | p99 | token requests | in flight \
             | sockets | MiB",
        );
        let control = scene("no bogus tokens", false);
        assert_eq!([control.0.failed, control.1.failed], [0; 2]);
        let (own, accepted, in_flight, sockets) = scene("1,000 bogus tokens a second", true);
        head(&format!("1,000 bogus tokens a second, 1,024 open files | {}", Beside::COLUMNS));
        for (name, calls, control) in
            [("own tokens", own, control.0), ("own connections", accepted, control.1)]
        {
            println!("| {name} | {} |", calls.beside(&control));
        }
        assert_eq!([own.failed, accepted.failed], [0; 2]);
        assert!(in_flight <= CAP, "{in_flight} in flight");
        // Beside those of the requests in flight: connections that are idle, and those of the service.
        assert!(sockets < CAP * 2, "{sockets} sockets");
        own.compare(&control.0, SLACK)?;
        accepted.compare(&control.1, SLACK)
    });
}

/// Own tokens and own connections, requests in flight and sockets.
fn scene(name: &str, with_bogus: bool) -> (Calls, Calls, usize, usize) {
    let issuer = Issuer::start(LATENCY, REFUSAL);
    let length = scene_length() * 2;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || serve(&listener));
    let ((own, accepted), peak) = Peak::during(|| {
        run(2, async {
            let idaas = issuer.handle();
            let bogus = with_bogus.then(|| tokio::spawn(trouble(idaas.clone(), length)));
            let own = Calls::every(Duration::from_millis(50), length, |number| own_token(&idaas, number));
            let accepted = Calls::every(Duration::from_millis(10), length, |_| async move {
                tokio::task::spawn_blocking(move || send(address).is_ok()).await.unwrap()
            });
            let calls = tokio::join!(own, accepted);
            if let Some(bogus) = bogus {
                bogus.await.unwrap();
            }
            calls
        })
    });
    let Counts { requests, in_flight, .. } = issuer.counts();
    println!("| {name} | {own} | {accepted} | {requests} | {in_flight} | {peak} |");
    (own, accepted, in_flight, peak.sockets)
}

/// Accepts connections, as a service does for its callers; one that it cannot accept is closed with the listener.
fn serve(listener: &TcpListener) {
    for connection in listener.incoming() {
        let Ok(mut connection) = connection else { return };
        let _ = connection.write_all(b"served");
    }
}

fn send(service: SocketAddr) -> std::io::Result<()> {
    let mut connection = TcpStream::connect_timeout(&service, Duration::from_secs(5))?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut text = String::new();
    connection.read_to_string(&mut text)?;
    if text == "served" { Ok(()) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}
