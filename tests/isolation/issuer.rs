//! An issuer of real sockets, in a process of its own: its sockets and its memory are none of the handle's.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use tower_idaas::authn::ClientSecretPost;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{Idaas, IdaasBuilder, SecretSource};

use crate::process::this_binary;

/// What controls the issuer's process: its latency in milliseconds, whether that varies, and how it responds to bad
/// subject tokens.
pub const VARIABLE: &str = "IDAAS_ISOLATION_ISSUER";

/// How the lines begin that the issuer's process writes.
pub const ADDRESS: &str = "issuer at ";
pub const COUNTED: &str = "issuer has counted ";

/// How the issuer responds to bad subject tokens.
#[derive(Clone, Copy, Debug)]
pub struct Bad {
    pub status: u16,
    pub body: &'static str,
    pub retry_after: Option<&'static str>,
    pub silent: bool,
}

pub const BAD: [Bad; 7] = [
    Bad { status: 400, body: r#"{"error":"invalid_grant"}"#, retry_after: None, silent: false },
    Bad { status: 400, body: "{}", retry_after: None, silent: false },
    Bad { status: 405, body: "<html>no</html>", retry_after: None, silent: false },
    Bad { status: 413, body: "too large", retry_after: None, silent: false },
    Bad { status: 429, body: "", retry_after: Some("300"), silent: false },
    Bad { status: 500, body: "oops", retry_after: None, silent: false },
    Bad { status: 0, body: "", retry_after: None, silent: true },
];

/// A plain refusal, among [`BAD`].
pub const REFUSAL: usize = 0;

impl std::fmt::Display for Bad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.silent, self.retry_after) {
            (true, _) => f.write_str("silence"),
            (false, Some(seconds)) => write!(f, "{}, `Retry-After: {seconds}`", self.status),
            (false, None) => write!(f, "{} `{}`", self.status, self.body),
        }
    }
}

/// How long the issuer takes.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    pub mean: Duration,
    /// From half of the mean to one and a half; latency that varies hides what constant latency shows, and the other
    /// way round.
    pub varies: bool,
}

impl Latency {
    pub const fn constant(millis: u64) -> Self {
        Self { mean: Duration::from_millis(millis), varies: false }
    }

    pub const fn varying(millis: u64) -> Self {
        Self { mean: Duration::from_millis(millis), varies: true }
    }

    pub fn next(self) -> Duration {
        if self.varies { self.mean.mul_f64(0.5 + fastrand::f64()) } else { self.mean }
    }
}

impl std::fmt::Display for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = self.mean.as_millis();
        if self.varies {
            write!(f, "{}–{} ms", millis / 2, millis * 3 / 2)
        } else {
            write!(f, "{millis} ms")
        }
    }
}

/// What the issuer has counted.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    pub requests: u64,
    /// Exchanges of subject tokens that are good.
    pub good: u64,
    /// The most requests in flight.
    pub in_flight: usize,
}

/// The process, which ends with this value, and with this process.
pub struct Issuer {
    address: SocketAddr,
    process: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Issuer {
    /// `bad` is one of [`BAD`].
    pub fn start(latency: Latency, bad: usize) -> Self {
        let mut command = this_binary("issuer_process::serve", None);
        let order = format!("{} {} {bad}", latency.mean.as_millis(), u8::from(latency.varies));
        command.env(VARIABLE, order).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let mut output = BufReader::new(output);
        let address = read(&mut output, ADDRESS).parse().unwrap();
        Self { address, process, pipes: Mutex::new((input, output)) }
    }

    pub fn counts(&self) -> Counts {
        let mut pipes = self.pipes.lock().unwrap();
        let (input, output) = &mut *pipes;
        writeln!(input).unwrap();
        let line = read(output, COUNTED);
        let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        let &[requests, good, in_flight] = numbers.as_slice() else { panic!("{line}") };
        Counts { requests, good, in_flight: in_flight as usize }
    }

    /// A handle whose token requests go there, by the built-in client where there is one.
    pub fn handle(&self) -> Idaas {
        self.builder().build().unwrap()
    }

    pub fn builder(&self) -> IdaasBuilder {
        let builder = Idaas::builder()
            .instance_id("idaas_1")
            .client_id("app_1")
            .issuer("https://issuer.example")
            .token_endpoint(format!("http://{}/token", self.address))
            .scope("api://a|read")
            .environment(ManualEnvironment::new())
            .authenticator(ClientSecretPost::new(SecretSource::value("not-a-real-secret".to_owned())));
        #[cfg(not(feature = "transport"))]
        let builder = builder.transport(own_client());
        builder
    }
}

/// A client as a program without feature `transport` brings one.
#[cfg(not(feature = "transport"))]
fn own_client() -> hyper_util::client::legacy::Client<
    hyper_util::client::legacy::connect::HttpConnector,
    http_body_util::Full<bytes::Bytes>,
> {
    hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http()
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The rest of the next line that begins like this.
fn read(output: &mut BufReader<ChildStdout>, beginning: &str) -> String {
    let mut lines = output.lines().map(Result::unwrap);
    lines.find_map(|line| line.strip_prefix(beginning).map(str::to_owned)).unwrap()
}
