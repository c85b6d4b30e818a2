//! The life of a value whose end a response states.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::cache::window::{RefreshAhead, Stage, Window};
use crate::wire::call::ApiResponse;
use crate::wire::time::unix_seconds;

/// How long a value of a response lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// From the request until the earliest of its ends.
    Stated(Duration),
    /// The response has no end that can be read.
    Unknown,
    /// The value had expired by both clocks when its response was received.
    Ended,
}

/// The life until the earliest of these ends.
pub(super) fn life_until<const N: usize>(
    response: &ApiResponse<'_>,
    ends: [Option<&Value>; N],
    refresh_ahead: RefreshAhead,
) -> Life {
    let ends = ends.into_iter().flatten().filter_map(|end| {
        let since_epoch = Duration::try_from_secs_f64(unix_seconds(end)?).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(since_epoch)
    });
    let Some(end) = ends.min() else { return Life::Unknown };
    // A life that is over on arrival is as good as none.
    let left = |now: SystemTime| {
        let life = end.duration_since(now).unwrap_or_default();
        let window = Window::new(response.sent(), life, refresh_ahead, 0.0);
        if window.stage(response.received()) == Stage::Expired { Duration::ZERO } else { life }
    };
    let life = life_of_new(left(response.sent().system_time()), response.server_time().map(left));
    if life.is_zero() { Life::Ended } else { Life::Stated(life) }
}

/// The life of what was just issued, by this machine's clock and by the server's. It is live, so a clock that says
/// otherwise is wrong, and the other one counts. Where both may be right, the earlier end counts.
pub(super) fn life_of_new(ours: Duration, theirs: Option<Duration>) -> Duration {
    match theirs {
        None => ours,
        Some(theirs) if !ours.is_zero() && !theirs.is_zero() => ours.min(theirs),
        Some(theirs) => ours.max(theirs),
    }
}
