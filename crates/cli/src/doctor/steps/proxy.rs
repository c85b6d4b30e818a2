//! Whether a proxy stands between here and the endpoint, and whether it opens a tunnel.

use tower_idaas::explanation::{Probe, Route};

use super::super::config_file::{ConfigFile, Endpoint};
use super::super::display;
use super::super::finding::{Finding, Step};
use super::super::surroundings::Surroundings;
use super::built::Faults;

const VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The second value is whether connections go through a proxy.
pub(crate) fn examine(
    endpoint: &Endpoint,
    probe: &Probe,
    config: &ConfigFile,
    faults: &Faults,
    surroundings: &Surroundings,
) -> (Finding, bool) {
    let faults = faults.of(Step::Proxy);
    if !faults.is_empty() {
        return (unusable().notes(faults), true);
    }
    let variable = surroundings.first(&VARIABLES).map(|(variable, _)| variable);
    let proxy = match config.route(endpoint) {
        Route::Proxy(proxy) => proxy,
        Route::Unusable(fault) => return (unusable().notes([display::chain(&fault)]), true),
        _ => {
            let summary = match variable {
                Some(name) => {
                    format!("{name} is set, but not for {}; a direct connection", endpoint.host)
                }
                None => "none; a direct connection".to_owned(),
            };
            return (Finding::ok(Step::Proxy, summary), false);
        }
    };
    // Scheme, host and port: there may be a password in the rest.
    let uri = proxy.uri();
    let address = format!(
        "{}://{}{}",
        uri.scheme_str().unwrap_or("http"),
        uri.host().unwrap_or_default(),
        uri.port().map(|port| format!(":{port}")).unwrap_or_default()
    );
    let before_the_tunnel = probe.resolution.as_ref().and_then(|step| step.outcome.as_ref().err());
    let before_the_tunnel = before_the_tunnel.or_else(|| probe.connection.as_ref()?.outcome.as_ref().err());
    let finding = match (before_the_tunnel, probe.tunnel.as_ref().map(|tunnel| &tunnel.outcome)) {
        (Some(error), _) => gone(&address, &display::chain(&**error)),
        (None, Some(Err(error))) => closed(&address, &display::chain(&**error)),
        (None, Some(Ok(()))) => Finding::ok(Step::Proxy, format!("through {address}, which opens a tunnel")),
        // Every other case has returned before.
        (None, None) => gone(&address, "it was not tried"),
    };
    let times = [
        ("dns", probe.resolution.as_ref().map(|step| step.took)),
        ("tcp", probe.connection.as_ref().map(|step| step.took)),
        ("tunnel", probe.tunnel.as_ref().map(|step| step.took)),
    ];
    let times = times.into_iter().filter_map(|(name, took)| Some((name, display::milliseconds(took?))));
    (finding.fact("by", variable.unwrap_or_default()).facts(times), true)
}

fn unusable() -> Finding {
    Finding::failed(Step::Proxy, "a variable is not the address of a proxy").advise(
        "no connection is tried with it",
        "set it to `http://host:port`, or unset it; `https`, `socks5` and `socks5h` are taken as well",
    )
}

fn gone(address: &str, reason: &str) -> Finding {
    Finding::failed(Step::Proxy, format!("no connection to {address}: {reason}")).advise(
        "all token requests go through this proxy, and it cannot be reached",
        "correct the variable, or exempt the endpoint's host in NO_PROXY",
    )
}

fn closed(address: &str, reason: &str) -> Finding {
    Finding::failed(Step::Proxy, format!("{address} opens no tunnel: {reason}")).advise(
        "the proxy does not allow this endpoint, requires authentication, or cannot reach the endpoint itself",
        "check user and password in the variable and the proxy's list of hosts, or exempt the endpoint's host in NO_PROXY",
    )
}
