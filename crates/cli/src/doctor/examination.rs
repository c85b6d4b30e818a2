//! The steps in their order, and which of them need which.

use std::path::Path;

use tower_idaas::explanation::Probe;

use super::config_file::{ConfigFile, Endpoint};
use super::finding::Step;
use super::report::Report;
use super::steps::built::Built;
use super::steps::{
    claims, clock, credential, developer_api, file, keys, network, proxy, tls, token, variables,
};
use super::surroundings::Surroundings;

const LOCAL: [Step; 4] = [Step::File, Step::Keys, Step::Variables, Step::Credential];
const CONNECTION: [Step; 5] = [Step::Proxy, Step::Dns, Step::Tcp, Step::Tls, Step::Clock];

/// Examines everything, and notes it in the report. `path` is the configuration file, if one is given.
pub(crate) async fn examine(mut report: Report, surroundings: &Surroundings, path: Option<&Path>) -> Report {
    let located = file::locate(path, surroundings);
    let built = Built::new(file::builder(path, surroundings), &located.path);
    report.is_unusable = built.idaas().is_none();
    if report.take(file::examine(&located, &built)).is_none() {
        return report.skip_rest(Step::File);
    }
    if !located.explanation.is_object() {
        report.add(keys::not_json(&built));
        return report.skip_rest(Step::Keys);
    }
    let config = ConfigFile(located.explanation);
    let faults = built.faults(&config, surroundings);
    report.add(keys::examine(&config, &built, &faults));
    report.add(variables::examine(&config, &faults, surroundings));
    report.add(match report.failed(&[Step::Variables]) {
        Some(step) if variables::are_the_credential(&config) => credential::skipped(step),
        _ => credential::examine(&config, &faults, surroundings).await,
    });

    let Some(endpoint) = config.endpoint() else {
        return report.skip_rest(Step::Keys);
    };
    let untrusting = faults.of(Step::Tls);
    if !untrusting.is_empty() {
        report.add(tls::no_authorities(untrusting));
    }
    let probe = config.probe(&endpoint).await;
    let (finding, is_proxied) = proxy::examine(&endpoint, &probe, &config, &faults, surroundings);
    report.add(finding);
    connection(&mut report, &endpoint, &probe, is_proxied);
    match config.developer_api() {
        Some(api) => report.add(developer_api::examine(&api.host, &config.probe(&api).await)),
        None => report.skip(&[Step::DeveloperApi], "the configuration names no DeveloperAPI"),
    }

    let needed = [&LOCAL[..], &[Step::Proxy, Step::Dns, Step::Tcp, Step::Tls]].concat();
    if let Some(step) = report.failed(&needed) {
        return report.skip_rest(step);
    }
    let Some(idaas) = built.idaas() else {
        return report.skip_rest(Step::Keys); // every fault belongs to some step, so this is not reached
    };
    match report.take(token::examine(idaas, &config).await) {
        Some(token) => report.add(claims::examine(&token, &config)),
        None => report = report.skip_rest(Step::Token),
    }
    report
}

/// What the probe has found between here and the endpoint, and of its clock.
fn connection(report: &mut Report, endpoint: &Endpoint, probe: &Probe, is_proxied: bool) {
    if is_proxied {
        report.skip(&[Step::Dns, Step::Tcp], "the proxy does this");
    } else {
        if let Some(step) = &probe.resolution {
            report.add(network::resolution(endpoint, step));
        }
        if let Some(step) = &probe.connection {
            report.add(network::connection(endpoint, step));
        }
    }
    match &probe.handshake {
        _ if report.failed(&[Step::Tls]).is_some() => {}
        Some(step) => report.add(tls::examine(endpoint, probe, step)),
        None if !endpoint.is_tls && probe.server_time.is_some() => {
            report.skip(&[Step::Tls], "plain http, which is for this machine only");
        }
        None => {}
    }
    if let Some(step) = &probe.server_time {
        report.add(clock::examine(step));
    }
    if let Some(failed) = report.failed(&CONNECTION) {
        report.skip(&CONNECTION, &format!("needs `{}`", failed.as_str()));
    }
}
