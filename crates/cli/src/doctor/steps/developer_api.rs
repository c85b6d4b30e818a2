//! The DeveloperAPI, where the configuration names one: whether it can be reached as well.

use tower_idaas::explanation::Probe;

use super::super::display;
use super::super::finding::{Finding, Step};

pub(crate) fn examine(host: &str, probe: &Probe) -> Finding {
    let steps = [
        ("dns", probe.resolution.as_ref().map(|step| (step.took, step.outcome.as_ref().err()))),
        ("tcp", probe.connection.as_ref().map(|step| (step.took, step.outcome.as_ref().err()))),
        ("tunnel", probe.tunnel.as_ref().map(|step| (step.took, step.outcome.as_ref().err()))),
        ("tls", probe.handshake.as_ref().map(|step| (step.took, step.outcome.as_ref().err()))),
    ];
    let failed = steps.iter().find_map(|(name, step)| step.and_then(|(_, error)| Some((*name, error?))));
    let finding = match failed {
        None => Finding::ok(Step::DeveloperApi, format!("{host} can be reached")),
        Some((step, error)) => {
            let summary = format!("{host} cannot be reached: {}", display::chain(&**error));
            Finding::failed(Step::DeveloperApi, summary).advise(
                format!("tokens are issued, but not what comes from the DeveloperAPI (cloud roles, stored secrets): `{step}` fails"),
                "check `developerApiEndpoint`, which may be a host within the VPC, and that this machine may connect to it",
            )
        }
    };
    finding.facts(steps.into_iter().filter_map(|(name, step)| Some((name, display::milliseconds(step?.0)))))
}
