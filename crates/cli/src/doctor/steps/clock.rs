//! How far this machine's clock is from the server's, by the `Date` of a response.

use std::time::Duration;

use tower_idaas::explanation::{ProbeStep, ServerTime};

use super::super::display;
use super::super::finding::{Finding, Step};

/// `Date` has whole seconds, and caches and gateways add a little.
const UNREMARKABLE: Duration = Duration::from_secs(5);
/// As long as an assertion lives.
const HARMFUL: Duration = Duration::from_secs(300);

pub(crate) fn examine(step: &ProbeStep<Option<ServerTime>>) -> Finding {
    match &step.outcome {
        Ok(Some(seen)) => judge(*seen),
        Ok(None) => Finding::skipped(Step::Clock, "the server's response has no `Date`"),
        Err(error) => {
            Finding::skipped(Step::Clock, format!("no response to HEAD: {}", display::chain(&**error)))
        }
    }
}

fn judge(seen: ServerTime) -> Finding {
    let ServerTime { date, sent, received, .. } = seen;
    // The round trip explains some of the difference.
    let (off, direction) = match (sent.duration_since(date), date.duration_since(received)) {
        (Ok(ahead), _) => (ahead, "ahead of"),
        (_, Ok(behind)) => (behind, "behind"),
        _ => (Duration::ZERO, "with"),
    };
    let facts = [("here", display::time(received)), ("server", display::time(date))];
    if off < UNREMARKABLE {
        return Finding::ok(Step::Clock, "agrees with the server's").facts(facts);
    }
    let summary = format!("this machine is {} {direction} the server", display::duration(off));
    if off < HARMFUL {
        return Finding::ok(Step::Clock, summary)
            .facts(facts)
            .warn("synchronise it with NTP before it drifts further");
    }
    Finding::failed(Step::Clock, summary).facts(facts).advise(
        "what this machine signs looks expired or not yet valid to the server, and certificates and tokens are judged \
         by a wrong time here; the crate corrects its own assertions, other programs do not",
        "set the clock and synchronise it with NTP (`timedatectl set-ntp true`, `chronyc makestep`); in a virtual machine, \
         check its host",
    )
}
