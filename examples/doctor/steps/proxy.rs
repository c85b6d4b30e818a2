//! Whether a proxy stands between here and the endpoint, by the crate's rules.

use hyper_util::client::proxy::matcher::Matcher;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::config_file::{ConfigFile, Endpoint};
use super::super::finding::{Finding, Step};
use super::super::shown;
use super::super::surroundings::Surroundings;
use super::built::Faults;

#[derive(Debug)]
pub(crate) enum Way {
    Direct,
    Through,
}

const VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

pub(crate) async fn examine(
    endpoint: &Endpoint,
    config: &ConfigFile,
    faults: &Faults,
    surroundings: &Surroundings,
) -> (Finding, Option<Way>) {
    let faults = faults.of(Step::Proxy);
    if !faults.is_empty() {
        let finding = Finding::failed(Step::Proxy, "a variable names no HTTP proxy").notes(faults);
        return (
            finding.advise("no connection is tried with it", "set it to `http://host:port`, or unset it"),
            None,
        );
    }
    let Some((variable, value)) = surroundings.first(&VARIABLES) else {
        return (Finding::ok(Step::Proxy, "none; straight to the endpoint"), Some(Way::Direct));
    };
    let exempt = surroundings.first(&["NO_PROXY", "no_proxy"]).map(|(_, hosts)| hosts).unwrap_or_default();
    let proxy = Matcher::builder().https(value).no(exempt).build().intercept(&endpoint.uri);
    let Some(proxy) = proxy.filter(|_| endpoint.is_tls && !endpoint.is_loopback()) else {
        let summary = format!("{variable} is set, but not for {}; straight to the endpoint", endpoint.host);
        return (Finding::ok(Step::Proxy, summary), Some(Way::Direct));
    };
    // Host and port: there may be a password in the rest.
    let host = proxy.uri().host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port =
        proxy.uri().port_u16().unwrap_or(if proxy.uri().scheme_str() == Some("https") { 443 } else { 80 });
    let finding = match timeout(config.connect_timeout(), TcpStream::connect((&*host, port))).await {
        Ok(Ok(_)) => Finding::ok(Step::Proxy, format!("through {host}:{port}, which is within reach")),
        failed => {
            let reason = failed.map_or("no answer in time".to_owned(), |result| {
                result.err().map(|error| shown::chain(&error)).unwrap_or_default()
            });
            let finding = Finding::failed(Step::Proxy, format!("no connection to {host}:{port}: {reason}"));
            finding.advise(
                "all token requests go through this proxy, and it is not there",
                "mend the variable, or exempt the endpoint's host in NO_PROXY",
            )
        }
    };
    (finding.fact("by", variable), Some(Way::Through))
}
