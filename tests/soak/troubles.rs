//! What goes wrong at the issuer, and what each trouble may cost.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use tower_idaas_testing::{Behaviour, TestIdaas};

use crate::callers::scopes;
use crate::register::Register;
use crate::{LIFE, TIMEOUT};

/// Two thirds of a life, less a fifth, in seconds.
pub const SOONEST_RENEWAL: f64 = 1.6;
const RETRY_AFTER_SECONDS: u16 = 2;

pub struct Trouble {
    pub name: &'static str,
    kind: Kind,
    /// Whether requests may fail: those that have no live token.
    pub fails: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Slow,
    Down,
    Throttles,
    Busy,
    Cuts,
    DeadOnArrival,
    Garbage,
    Hangs,
    Mute,
}

pub fn troubles() -> Vec<Trouble> {
    let trouble = |name, kind, fails| Trouble { name, kind, fails };
    vec![
        trouble("responds after 0.5 s", Kind::Slow, false),
        trouble("is down", Kind::Down, true),
        trouble("429, `Retry-After: 2`", Kind::Throttles, true),
        trouble("503", Kind::Busy, true),
        trouble("cuts its responses in half", Kind::Cuts, true),
        trouble("issues expired tokens", Kind::DeadOnArrival, false),
        trouble("responds with a web page", Kind::Garbage, true),
        trouble("hangs in the TLS handshake", Kind::Hangs, true),
        trouble("takes requests, responds to none", Kind::Mute, true),
    ]
}

impl Trouble {
    pub async fn begin(&self, issuer: &TestIdaas, register: &Register) {
        let behaviour = match self.kind {
            Kind::Down => return issuer.down().await,
            Kind::Slow => Behaviour::Slow(Duration::from_millis(500)),
            Kind::Throttles => Behaviour::code(StatusCode::TOO_MANY_REQUESTS, "slow_down")
                .with_header(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS)),
            Kind::Busy => Behaviour::status(StatusCode::SERVICE_UNAVAILABLE),
            Kind::Cuts => Behaviour::CutMidBody,
            Kind::DeadOnArrival => register.issuing(Duration::ZERO),
            Kind::Garbage => Behaviour::response(StatusCode::OK, "text/html", "<h1>It works!</h1>"),
            Kind::Hangs => Behaviour::HangHandshake,
            Kind::Mute => Behaviour::Hold,
        };
        issuer.set_behaviour(behaviour);
    }

    pub async fn end(&self, issuer: &TestIdaas, register: &Register) {
        issuer.set_behaviour(register.issuing(LIFE));
        match self.kind {
            Kind::Down => issuer.up().await.unwrap(),
            Kind::Mute => issuer.release(),
            _ => {}
        }
    }

    /// How many token requests it may see in that time.
    pub fn most_requests(&self, lasted: Duration) -> usize {
        let seconds = lasted.as_secs_f64();
        let scopes = scopes().len();
        // One that is under way at either end of it counts as well.
        let each = |number: f64| scopes * (number.ceil() as usize + 2);
        match self.kind {
            Kind::Slow => each(seconds / SOONEST_RENEWAL),
            // An expired token is followed by another after a second at the earliest.
            Kind::DeadOnArrival => each(seconds),
            // Those that are under way when the first is throttled, and then one whenever it says so.
            Kind::Throttles => scopes + (seconds / f64::from(RETRY_AFTER_SECONDS)).ceil() as usize + 1,
            // Twenty in the first minute and four in each later one.
            _ => 20 + 4 * (seconds / 60.0).ceil().max(1.0) as usize - 4,
        }
    }

    /// How long the library may leave the issuer alone after that time of it, and an attempt on top.
    ///
    /// Pauses double and are halved at most by chance: the last one is no longer than all of them together,
    /// twice, and the first.
    pub fn step_after(&self, lasted: Duration) -> Duration {
        let requested = match self.kind {
            // Nothing failed; there is a new token when the present one is due.
            Kind::Slow | Kind::DeadOnArrival => return LIFE + TIMEOUT,
            Kind::Throttles => Duration::from_secs(RETRY_AFTER_SECONDS.into()),
            _ => Duration::ZERO,
        };
        // An attempt that began before the end may take its time to fail after it.
        let own = 2 * (lasted + TIMEOUT) + Duration::from_secs(1);
        own.min(Duration::from_secs(32)).max(requested) + 2 * TIMEOUT
    }
}
