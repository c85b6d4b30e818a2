//! Starts a fleet of processes at once, with and without a shared store, and counts the requests to the issuer.
//!
//! ```sh
//! cargo run -p tower-idaas-redis --example shared_store
//! ```
//!
//! It needs `redis-server` and no account: an IDaaS in this process issues the tokens. It fails when there are more token
//! requests with a store than half of those without.

#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tower_idaas::{BoxError, Idaas, SecretSource};
use tower_idaas_redis::{RedisStore, SharedStore};
use tower_idaas_testing::{ClientAuthentication, TestIdaas};

const PROCESSES: usize = 50;

/// One is the rule. On a machine that is too busy to respond within the time-outs of the store there are more.
const MOST_REQUESTS: usize = PROCESSES / 2;

/// Set for the processes of the fleet; this one starts them.
const ROLE: &str = "FLEET_ROLE";
const SHARING: &str = "sharing";
const ALONE: &str = "alone";

const PASSWORD: &str = "not-a-real-password";
const KEYS: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    match std::env::var(ROLE).as_deref() {
        Ok(role) => instance(role == SHARING).await,
        Err(_) => compare().await,
    }
}

/// What a service does: builds its client, and requests a token when it has something to send.
async fn instance(sharing: bool) -> Result<(), BoxError> {
    let mut builder = Idaas::builder().config_from_env();
    if sharing {
        let redis = RedisStore::builder(SecretSource::variable("REDIS_URL")).build()?;
        let shared = SharedStore::new(redis, SecretSource::variable("IDAAS_STORE_KEYS"));
        builder = builder.wrap_source(|source, context| shared.in_front_of(source, context));
    }
    let idaas = builder.build()?;
    println!("ready");
    std::io::stdin().read_line(&mut String::new())?;
    let token = idaas.token().await?;
    // The end of its signature is enough to distinguish it from another.
    println!("{}", token.expose_token().chars().rev().take(16).collect::<String>());
    Ok(())
}

async fn compare() -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let server = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD])
        .args(["--port", &address.port().to_string()])
        .arg("--dir")
        .arg(folder.path())
        .stdout(Stdio::null())
        .spawn();
    let Ok(server) = server.map(Stopped) else {
        println!("redis-server is not installed (package redis-server): nothing to show");
        return Ok(());
    };
    until_up(address)?;
    println!("{PROCESSES} processes, started at once, each in need of a token:\n");
    println!("| | token requests | tokens | until the last one has its token |");
    println!("|---|---|---|---|");
    for (name, role) in [("each for itself", ALONE), ("with a shared store", SHARING)] {
        let issuer = TestIdaas::start().await?;
        let config = issuer.write_config(folder.path(), ClientAuthentication::SecretPost)?;
        let roots = issuer.write_root_certificate(folder.path())?;
        let start = |_| {
            Command::new(std::env::current_exe()?)
                .env(ROLE, role)
                .env("CLOUD_IDAAS_CONFIG_PATH", &config)
                .env("SSL_CERT_FILE", &roots)
                .env(TestIdaas::SECRET_VARIABLE, issuer.secret().expose_secret())
                .env("REDIS_URL", format!("redis://:{PASSWORD}@{address}"))
                .env("IDAAS_STORE_KEYS", KEYS)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .map(Stopped)
        };
        let clients = (0..PROCESSES).map(start).collect::<Result<Vec<_>, _>>()?;
        // The issuer goes on responding meanwhile.
        let (tokens, took) = tokio::task::spawn_blocking(|| run(clients)).await??;
        let (requests, tokens) = (issuer.token_requests(), tokens.len());
        println!("| {name} | {requests} | {tokens} | {:.2} s |", took.as_secs_f64());
        if role == SHARING && requests > MOST_REQUESTS {
            return Err(format!("{requests} token requests are more than {MOST_REQUESTS}").into());
        }
    }
    drop(server);
    Ok(())
}

/// Lets all of them start at once, and returns what their tokens end with.
fn run(mut clients: Vec<Stopped>) -> Result<(HashSet<String>, Duration), std::io::Error> {
    let outputs = clients.iter_mut().filter_map(|Stopped(client)| client.stdout.take());
    let mut outputs: Vec<_> = outputs.map(BufReader::new).collect();
    for output in &mut outputs {
        output.read_line(&mut String::new())?;
    }
    let started = Instant::now();
    for Stopped(client) in &mut clients {
        if let Some(mut input) = client.stdin.take() {
            input.write_all(b"go\n")?;
        }
    }
    let mut tokens = HashSet::new();
    for output in &mut outputs {
        let mut token = String::new();
        output.read_to_string(&mut token)?;
        if token.trim().is_empty() {
            return Err(std::io::Error::other("a process of the fleet got no token"));
        }
        tokens.insert(token);
    }
    Ok((tokens, started.elapsed()))
}

fn until_up(address: SocketAddr) -> Result<(), std::io::Error> {
    for _ in 0..500 {
        if TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(std::io::Error::other("redis-server does not come up"))
}

/// Ends with this program, however that ends.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
