//! How long an idle connection may stay silent after a request before it counts as dropped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Uri;

use crate::clock::nanos;

/// The servers whose limits are kept. A client speaks with a handful: the token endpoint, the APIs beside it, STS.
const SERVERS: usize = 64;

/// The limit for the connections of one server. It follows the time that the server takes for a response, so that a
/// slow server does not get a request twice.
#[derive(Debug)]
pub(super) struct SilenceLimit(AtomicU64);

impl SilenceLimit {
    const SHORTEST: Duration = Duration::from_secs(1);
    /// How much longer than the responses seen so far a response may take.
    const FACTOR: u32 = 4;

    pub(super) fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// Records how long the server took for a response. The limit rises at once and falls slowly: a server that is
    /// slow now and then is one that may be slow.
    pub(super) fn observe(&self, latency: Duration) {
        let limit = nanos(latency.saturating_mul(Self::FACTOR).max(Self::SHORTEST));
        let fallen = self.0.load(Ordering::Relaxed) / 8 * 7;
        self.0.store(limit.max(fallen), Ordering::Relaxed);
    }
}

impl Default for SilenceLimit {
    fn default() -> Self {
        Self(AtomicU64::new(nanos(Self::SHORTEST)))
    }
}

/// The limits of the servers that a client speaks with, the last used first.
#[derive(Clone, Debug, Default)]
pub(super) struct SilenceLimits(Arc<Mutex<Vec<Known>>>);

type Known = (Server, Arc<SilenceLimit>);

/// The scheme, and the host and port as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Server(String, String);

impl SilenceLimits {
    pub(super) fn of(&self, destination: &Uri) -> Arc<SilenceLimit> {
        let part = |part: Option<&str>| part.unwrap_or_default().to_ascii_lowercase();
        let authority = destination.authority().map(http::uri::Authority::as_str);
        let server = Server(part(destination.scheme_str()), part(authority));
        let mut limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = limits.iter().position(|(other, _)| *other == server);
        let (server, limit) = match known {
            Some(position) => limits.remove(position),
            None => (server, Arc::default()),
        };
        limits.truncate(SERVERS - 1);
        limits.insert(0, (server, Arc::clone(&limit)));
        limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn the_limit_of_one_server_says_nothing_about_another() {
        let limits = SilenceLimits::default();
        let slow = limits.of(&uri("https://slow.example.com/token"));
        slow.observe(Duration::from_secs(2));
        limits.of(&uri("https://fast.example.com/")).observe(Duration::from_millis(1));
        for same in ["https://slow.example.com/token", "https://SLOW.example.com/other?a=b"] {
            assert_eq!(limits.of(&uri(same)).get(), Duration::from_secs(8), "{same}");
        }
        for other in
            ["https://fast.example.com/", "http://slow.example.com/token", "https://slow.example.com:8443/"]
        {
            assert_eq!(limits.of(&uri(other)).get(), Duration::from_secs(1), "{other}");
        }
    }

    #[test]
    fn a_limit_rises_at_once_and_falls_slowly() {
        let limit = SilenceLimit::default();
        limit.observe(Duration::from_secs(2));
        limit.observe(Duration::from_millis(1));
        assert_eq!(limit.get(), Duration::from_secs(7));
        for _ in 0..100 {
            limit.observe(Duration::from_millis(1));
        }
        assert_eq!(limit.get(), Duration::from_secs(1));
    }

    #[test]
    fn the_number_of_limits_is_bounded_and_those_in_use_stay() {
        let limits = SilenceLimits::default();
        let used = uri("https://used.example.com/");
        limits.of(&used).observe(Duration::from_secs(2));
        for number in 0..1_000 {
            limits.of(&uri(&format!("https://h{number}.example.com/")));
            limits.of(&used);
        }
        assert_eq!(limits.of(&used).get(), Duration::from_secs(8));
        assert_eq!(limits.0.lock().unwrap().len(), SERVERS);
    }
}
