//! DNS and TCP: the host's addresses, and whether one of them lets us in.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::super::config_file::Endpoint;
use super::super::finding::{Finding, Step};
use super::super::shown;

/// What TLS and HTTP can go over: a connection, or a tunnel.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

pub(crate) async fn resolve(endpoint: &Endpoint, limit: Duration) -> (Finding, Option<Vec<SocketAddr>>) {
    let start = Instant::now();
    let addresses = match timeout(limit, lookup_host((endpoint.host.as_str(), endpoint.port))).await {
        Ok(Ok(addresses)) => Ok(addresses.collect::<Vec<_>>()),
        Ok(Err(error)) => Err(shown::chain(&error)),
        Err(_) => Err(format!("no answer within {limit:?}")),
    };
    let reason = match addresses {
        Ok(addresses) if !addresses.is_empty() => {
            let all: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
            let finding = Finding::ok(Step::Dns, format!("{} is {}", endpoint.host, all.join(", ")));
            return (finding.fact("time", shown::milliseconds(start.elapsed())), Some(addresses));
        }
        Ok(_) => "it has no address".to_owned(),
        Err(reason) => reason,
    };
    let finding = Finding::failed(Step::Dns, format!("{} does not resolve: {reason}", endpoint.host));
    let finding = finding.advise(
        format!("the host in `{}` is misspelt, or this machine's resolver does not know it", endpoint.key),
        "compare it with the endpoint that the IDaaS console shows; inside a VPC or a container, check its DNS",
    );
    (finding, None)
}

pub(crate) async fn connect(
    endpoint: &Endpoint,
    addresses: &[SocketAddr],
    limit: Duration,
) -> (Finding, Option<TcpStream>) {
    let mut reasons = Vec::new();
    for address in addresses {
        let start = Instant::now();
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let finding = Finding::ok(Step::Tcp, format!("connected to {address}"));
                return (finding.fact("time", shown::milliseconds(start.elapsed())), Some(stream));
            }
            Ok(Err(error)) => reasons.push(format!("{address}: {}", shown::chain(&error))),
            Err(_) => reasons.push(format!("{address}: no answer within {limit:?}")),
        }
    }
    let finding = Finding::failed(Step::Tcp, format!("no connection to {}:{}", endpoint.host, endpoint.port));
    let finding = finding.notes(reasons).advise(
        "the endpoint is down (refused), or a firewall or security group drops the packets (no answer)",
        format!(
            "check host and port in `{}`, and that this machine may connect out to port {}; where only a proxy may, \
             set HTTPS_PROXY",
            endpoint.key, endpoint.port
        ),
    );
    (finding, None)
}
