//! DNS and TCP: the host's addresses, and whether one of them accepts a connection.

use std::net::SocketAddr;

use tower_idaas::explanation::ProbeStep;

use super::super::config_file::Endpoint;
use super::super::display;
use super::super::finding::{Finding, Step};

pub(crate) fn resolution(endpoint: &Endpoint, step: &ProbeStep<Vec<SocketAddr>>) -> Finding {
    let reason = match &step.outcome {
        Ok(addresses) if !addresses.is_empty() => {
            let all: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
            let finding = Finding::ok(Step::Dns, format!("{} is {}", endpoint.host, all.join(", ")));
            return finding.fact("time", display::milliseconds(step.took));
        }
        Ok(_) => "it has no address".to_owned(),
        Err(error) => display::chain(&**error),
    };
    let finding = Finding::failed(Step::Dns, format!("{} does not resolve: {reason}", endpoint.host));
    finding.fact("time", display::milliseconds(step.took)).advise(
        format!("the host in `{}` is misspelt, or this machine's resolver does not know it", endpoint.key),
        "compare it with the endpoint that the IDaaS console shows; inside a VPC or a container, check its DNS",
    )
}

pub(crate) fn connection(endpoint: &Endpoint, step: &ProbeStep<SocketAddr>) -> Finding {
    let finding = match &step.outcome {
        Ok(address) => Finding::ok(Step::Tcp, format!("connected to {address}")),
        Err(error) => {
            let summary = format!("no connection to {}:{}", endpoint.host, endpoint.port);
            Finding::failed(Step::Tcp, summary).notes([display::chain(&**error)]).advise(
                "the endpoint is down (refused), or a firewall or security group drops the packets (no response)",
                format!(
                    "check host and port in `{}`, and that this machine may connect out to port {}; where only a \
                     proxy may, set HTTPS_PROXY",
                    endpoint.key, endpoint.port
                ),
            )
        }
    };
    finding.fact("time", display::milliseconds(step.took))
}
