//! PKCS7, and OIDC on Google Cloud: the requests to the cloud's metadata service, and whether it is within reach.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http::Uri;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::config_file::ConfigFile;
use super::super::finding::{Finding, Step};
use super::super::surroundings::Surroundings;

/// It is on the same link, or it is not there.
const LIMIT: Duration = Duration::from_secs(1);

pub(super) const ALIBABA_CLOUD: &str = "http://100.100.100.200";
const AWS: &str = "http://169.254.169.254";
const GOOGLE_CLOUD: &str = "http://metadata.google.internal";
/// Where the clouds that want a metadata token issue one.
const TOKEN: &str = "/latest/api/token";

pub(crate) async fn examine(
    config: &ConfigFile,
    faults: Vec<String>,
    surroundings: &Surroundings,
) -> Finding {
    let (address, first, document) = match config.get("clientDeployEnvironment") {
        Some("AWS_EC2") => (AWS, Some(TOKEN), "/latest/dynamic/instance-identity/rsa2048"),
        Some("GOOGLE_VM") => (
            GOOGLE_CLOUD,
            None,
            "/computeMetadata/v1/instance/service-accounts/default/identity?audience=…&format=full",
        ),
        _ => (ALIBABA_CLOUD, Some(TOKEN), "/latest/dynamic/instance-identity/pkcs7?audience=…"),
    };
    let address = surroundings.metadata_address.as_deref().unwrap_or(address);
    let first = first.map(|path| ("first", format!("PUT {address}{path}")));
    let then = if first.is_some() { "then" } else { "request" };
    let requests = first
        .into_iter()
        .chain([(then, format!("GET {address}{document}")), ("never", "through a proxy".to_owned())]);
    let finding = match is_in_reach(address).await {
        true => Finding::ok(Step::Credential, "a document of the metadata service, which is within reach"),
        false => Finding::failed(Step::Credential, format!("no metadata service within {LIMIT:?}")).advise(
            "this is not an instance of the cloud that `clientDeployEnvironment` names, or its metadata service is \
             switched off or fenced off (in containers: hop limit, network policy)",
            "run it on such an instance, allow connections to the service, or choose another `authnMethod`",
        ),
    };
    finding.facts(requests).notes(faults)
}

pub(super) async fn is_in_reach(address: &str) -> bool {
    let Some(authority) = address.parse::<Uri>().ok().and_then(|uri| uri.into_parts().authority) else {
        return false;
    };
    let host = authority.host().trim_matches(['[', ']']);
    let connects = connects(host, authority.port_u16().unwrap_or(80));
    timeout(LIMIT, connects).await.unwrap_or(false)
}

/// Whether one of the host's addresses accepts a connection. They are tried side by side, because the time is short.
/// As for the crate, `localhost` is this machine, whatever a resolver says.
async fn connects(host: &str, port: u16) -> bool {
    let addresses: Vec<SocketAddr> = match host.eq_ignore_ascii_case("localhost") {
        true => vec![(Ipv6Addr::LOCALHOST, port).into(), (Ipv4Addr::LOCALHOST, port).into()],
        false => lookup_host((host, port)).await.map(Iterator::collect).unwrap_or_default(),
    };
    let mut attempts: JoinSet<_> = addresses.into_iter().map(TcpStream::connect).collect();
    while let Some(ended) = attempts.join_next().await {
        if matches!(ended, Ok(Ok(_))) {
            return true;
        }
    }
    false
}
