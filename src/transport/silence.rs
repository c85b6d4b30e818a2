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
pub(super) struct SilenceLimit {
    nanos: AtomicU64,
    /// What is left of the read time-out after it is for a connection in place of a dropped one.
    longest: Duration,
}

impl SilenceLimit {
    const SHORTEST: Duration = Duration::from_secs(1);
    /// How much longer than the responses seen so far a response may take.
    const FACTOR: u32 = 4;

    fn new(longest: Duration) -> Self {
        Self { nanos: AtomicU64::new(nanos(Self::SHORTEST.min(longest))), longest }
    }

    pub(super) fn get(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    /// Records how long the server took for a response. The limit rises at once and falls slowly: a server that is
    /// slow now and then is one that may be slow.
    pub(super) fn observe(&self, latency: Duration) {
        let limit = latency.saturating_mul(Self::FACTOR).max(Self::SHORTEST).min(self.longest);
        // A server that takes longer than that would otherwise get each request twice, and time out at the second.
        let limit = nanos(limit.max(latency.saturating_add(latency / 4)));
        let fallen = self.nanos.load(Ordering::Relaxed) / 8 * 7;
        self.nanos.store(limit.max(fallen), Ordering::Relaxed);
    }
}

/// The limits of the servers that a client speaks with, the last used first.
#[derive(Clone, Debug)]
pub(super) struct SilenceLimits {
    known: Arc<Mutex<Vec<Known>>>,
    longest: Duration,
}

type Known = (Server, Arc<SilenceLimit>);

/// The scheme, and the host and port as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Server(String, String);

impl SilenceLimits {
    /// Limits for requests with this read time-out: half of it at most, unless a server was seen to take longer.
    pub(super) fn within(read_timeout: Duration) -> Self {
        Self { known: Arc::default(), longest: read_timeout / 2 }
    }

    pub(super) fn of(&self, destination: &Uri) -> Arc<SilenceLimit> {
        let part = |part: Option<&str>| part.unwrap_or_default().to_ascii_lowercase();
        let authority = destination.authority().map(http::uri::Authority::as_str);
        let server = Server(part(destination.scheme_str()), part(authority));
        let mut limits = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = limits.iter().position(|(other, _)| *other == server);
        let (server, limit) = match known {
            Some(position) => limits.remove(position),
            None => (server, Arc::new(SilenceLimit::new(self.longest))),
        };
        limits.truncate(SERVERS - 1);
        limits.insert(0, (server, Arc::clone(&limit)));
        limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A read time-out that bounds no limit.
    const AMPLE: Duration = Duration::from_secs(60);

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn the_limit_of_one_server_says_nothing_about_another() {
        let limits = SilenceLimits::within(AMPLE);
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
        let limit = SilenceLimit::new(AMPLE);
        limit.observe(Duration::from_secs(2));
        limit.observe(Duration::from_millis(1));
        assert_eq!(limit.get(), Duration::from_secs(7));
        for _ in 0..100 {
            limit.observe(Duration::from_millis(1));
        }
        assert_eq!(limit.get(), Duration::from_secs(1));
    }

    #[test]
    fn a_dropped_connection_leaves_half_of_the_read_timeout_to_the_one_in_its_place() {
        let server = uri("https://idaas.example.com/");
        for (read_timeout, first, slow) in [(10_000, 1_000, 5_000), (3_000, 1_000, 1_500), (1_000, 500, 500)]
        {
            let limit = SilenceLimits::within(Duration::from_millis(read_timeout)).of(&server);
            assert_eq!(limit.get(), Duration::from_millis(first));
            limit.observe(Duration::from_millis(read_timeout * 3 / 10));
            assert_eq!(limit.get(), Duration::from_millis(slow), "of {read_timeout} ms");
        }
    }

    #[test]
    fn a_server_that_takes_longer_than_half_of_the_read_timeout_gets_the_time_that_it_takes() {
        let limit = SilenceLimits::within(Duration::from_secs(10)).of(&uri("https://idaas.example.com/"));
        limit.observe(Duration::from_secs(6));
        assert_eq!(limit.get(), Duration::from_millis(7_500));
    }

    #[test]
    fn the_number_of_limits_is_bounded_and_those_in_use_stay() {
        let limits = SilenceLimits::within(AMPLE);
        let used = uri("https://used.example.com/");
        limits.of(&used).observe(Duration::from_secs(2));
        for number in 0..1_000 {
            limits.of(&uri(&format!("https://h{number}.example.com/")));
            limits.of(&used);
        }
        assert_eq!(limits.of(&used).get(), Duration::from_secs(8));
        assert_eq!(limits.known.lock().unwrap().len(), SERVERS);
    }
}
