//! PKCS7: the requests to the cloud's metadata service, and whether it is within reach.

use std::time::Duration;

use http::Uri;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::config_file::ConfigFile;
use super::super::finding::{Finding, Step};
use super::super::surroundings::Surroundings;

/// It is on the same link, or it is not there.
const LIMIT: Duration = Duration::from_secs(1);

pub(super) const ALIBABA_CLOUD: &str = "http://100.100.100.200";
const AWS: &str = "http://169.254.169.254";

pub(crate) async fn examine(
    config: &ConfigFile,
    faults: Vec<String>,
    surroundings: &Surroundings,
) -> Finding {
    let (address, document) = match config.get("clientDeployEnvironment") {
        Some("AWS_EC2") => (AWS, "/latest/dynamic/instance-identity/rsa2048"),
        _ => (ALIBABA_CLOUD, "/latest/dynamic/instance-identity/pkcs7?audience=…"),
    };
    let address = surroundings.metadata_address.as_deref().unwrap_or(address);
    let requests = [
        ("first", format!("PUT {address}/latest/api/token")),
        ("then", format!("GET {address}{document}")),
        ("never", "through a proxy".to_owned()),
    ];
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
    let connecting = TcpStream::connect((host, authority.port_u16().unwrap_or(80)));
    matches!(timeout(LIMIT, connecting).await, Ok(Ok(_)))
}
