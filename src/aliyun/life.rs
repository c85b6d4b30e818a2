//! The life of a value whose end a response of the DeveloperAPI states.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::cache::window::{DEFAULT_LIFE, LONGEST_LIFE, RefreshAhead, Stage, Window};
use crate::wire::call::ApiResponse;
use crate::wire::time::unix_seconds;

/// The life from the request until the earliest of these ends, by the server's clock and by this machine's. One minute
/// when the response has no end, or one too distant to be true.
pub(super) fn life_until<const N: usize>(response: &ApiResponse<'_>, ends: [Option<&Value>; N]) -> Duration {
    let ends = ends.into_iter().flatten().filter_map(|end| {
        let since_epoch = Duration::try_from_secs_f64(unix_seconds(end)?).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(since_epoch)
    });
    let Some(end) = ends.min() else { return DEFAULT_LIFE };
    let left = |now: SystemTime| end.duration_since(now).unwrap_or_default();
    let sent = response.sent().system_time();
    let life = left(response.server_time().unwrap_or(sent)).min(left(sent));
    if life > LONGEST_LIFE { DEFAULT_LIFE } else { life }
}

/// Whether a value with this life had expired when its response was received.
pub(super) fn has_ended(response: &ApiResponse<'_>, life: Duration, refresh_ahead: RefreshAhead) -> bool {
    Window::new(response.sent(), life, refresh_ahead, 0.0).stage(response.received()) == Stage::Expired
}
