//! The steps in their order, and which of them need which.

use std::path::Path;

use super::config_file::{ConfigFile, Endpoint};
use super::finding::Step;
use super::report::Report;
use super::steps::built::Built;
use super::steps::network::Stream;
use super::steps::{claims, clock, credential, file, keys, network, proxy, tls, token, variables};
use super::surroundings::Surroundings;

const LOCAL: [Step; 4] = [Step::File, Step::Keys, Step::Variables, Step::Credential];
const ON_THE_WAY: [Step; 4] = [Step::Dns, Step::Tcp, Step::Tls, Step::Clock];

/// Looks at everything, and notes it in the report. `path` is the configuration file, if one is given.
pub(crate) async fn examine(mut report: Report, surroundings: &Surroundings, path: Option<&Path>) -> Report {
    let located = file::locate(path, surroundings);
    let built = Built::new(file::builder(path, surroundings), &located.path);
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
        report.add(tls::no_authorities(untrusting, surroundings));
    }
    let (finding, way) = proxy::examine(&endpoint, &config, &faults, surroundings).await;
    report.add(finding);
    match way {
        Some(proxy::Way::Direct) => go(&mut report, &endpoint, &config, surroundings).await,
        Some(proxy::Way::Through(tunnel)) => {
            report.skip(&[Step::Dns, Step::Tcp], "the proxy sees to it");
            talk(&mut report, tunnel, &endpoint, &config, surroundings).await;
        }
        Some(proxy::Way::Unseen) => report.skip(&ON_THE_WAY, "behind a SOCKS proxy"),
        None => report.skip(&ON_THE_WAY, "needs `proxy`"),
    }

    let needed = [&LOCAL[..], &[Step::Proxy, Step::Dns, Step::Tcp, Step::Tls]].concat();
    if let Some(step) = report.failed(&needed) {
        return report.skip_rest(step);
    }
    let Some(idaas) = built.idaas() else {
        return report.skip_rest(Step::Keys); // every fault belongs to some step, so this is not to be met
    };
    match report.take(token::examine(idaas, &config).await) {
        Some(token) => report.add(claims::examine(&token, &config)),
        None => report = report.skip_rest(Step::Token),
    }
    report
}

/// DNS and TCP, and what comes after.
async fn go(report: &mut Report, endpoint: &Endpoint, config: &ConfigFile, surroundings: &Surroundings) {
    let limit = config.connect_timeout();
    let Some(addresses) = report.take(network::resolve(endpoint, limit).await) else {
        return report.skip(&[Step::Tcp, Step::Tls, Step::Clock], "needs `dns`");
    };
    let Some(tcp) = report.take(network::connect(endpoint, &addresses, limit).await) else {
        return report.skip(&[Step::Tls, Step::Clock], "needs `tcp`");
    };
    talk(report, Box::new(tcp), endpoint, config, surroundings).await;
}

/// TLS, and what the server's first answer tells of its clock.
async fn talk(
    report: &mut Report,
    stream: Box<dyn Stream>,
    endpoint: &Endpoint,
    config: &ConfigFile,
    surroundings: &Surroundings,
) {
    if report.failed(&[Step::Tls]).is_some() {
        return report.skip(&[Step::Clock], "needs `tls`");
    }
    if !endpoint.is_tls {
        report.skip(&[Step::Tls], "plain http, which is for this machine only");
        return report.add(clock::examine(stream, endpoint).await);
    }
    match report.take(tls::examine(stream, endpoint, config.connect_timeout(), surroundings).await) {
        Some(stream) => report.add(clock::examine(stream, endpoint).await),
        None => report.skip(&[Step::Clock], "needs `tls`"),
    }
}
