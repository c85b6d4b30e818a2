//! What one more handle costs, as a gateway with a client for each tenant has them.

use std::time::{Duration, Instant};

use tower_idaas::authn::ClientSecretPost;
use tower_idaas::{Idaas, SecretSource};

use crate::service::median;

const HANDLES: usize = 300;

fn build(number: usize) -> Idaas {
    Idaas::builder()
        .instance_id("idaas_1")
        .client_id(format!("app_{number}"))
        .issuer("https://issuer.example")
        .token_endpoint("https://issuer.example/token")
        .scope("api://orders|.all")
        .authenticator(ClientSecretPost::new(SecretSource::value("not-a-real-secret".to_owned())))
        .build()
        .unwrap()
}

/// Resident memory of this process in KiB, where the system tells.
fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok())
}

/// Builds them in a row and keeps them all, with the built-in transport and the platform's authorities.
pub(crate) fn print() {
    let mut times: Vec<Duration> = Vec::with_capacity(HANDLES);
    let mut handles = Vec::with_capacity(HANDLES);
    let mut after_first = None;
    let start = Instant::now();
    for number in 0..HANDLES {
        let before = Instant::now();
        handles.push(build(number));
        times.push(before.elapsed());
        if number == 0 {
            after_first = resident();
        }
    }
    let whole = start.elapsed();
    let others = (HANDLES - 1) as f64;
    let first = times.remove(0);
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let memory = resident().zip(after_first).map_or(f64::NAN, |(last, first)| (last - first) / others);
    println!("\n| {HANDLES} handles in a row | time | resident memory |\n|---|---|---|");
    println!("| the first | {:.2} ms | |", millis(first));
    println!(
        "| one more | {:.3} ms, median {:.3} ms | {memory:.1} KiB |",
        millis(whole - first) / others,
        millis(median(times))
    );
}
