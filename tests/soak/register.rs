//! Which tokens were issued when, and who used them: the judge of the soak.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tower_idaas_testing::Behaviour;

use crate::LIFE;
use crate::callers::scopes;

/// How long after it was requested a token may be issued, by an issuer that is well and on a machine that is
/// not busy: so much of its life may be over unknown to the issuer.
const LONGEST_WAY: Duration = Duration::from_millis(300);
/// How many steps of that way a busy machine may hold up.
const STEPS: u32 = 4;

#[derive(Clone, Default)]
pub struct Register(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    tokens: HashMap<String, Entry>,
    pulse: Pulse,
    verdict: Verdict,
}

struct Entry {
    audience: String,
    issued: Instant,
    end: Instant,
    /// When the library takes it off, if it came at once. None when that is not known.
    taken_off: Option<Instant>,
    dead_on_arrival: bool,
    first_use: Option<Instant>,
}

/// What must not have happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verdict {
    requests: u64,
    expired: u64,
    late_for_a_dead_one: u64,
    of_another_scope: u64,
    failed_despite_a_live_one: u64,
}

impl Verdict {
    pub fn is_clean(&self) -> bool {
        let Self { requests, expired, late_for_a_dead_one, of_another_scope, failed_despite_a_live_one } =
            *self;
        requests > 0 && expired + late_for_a_dead_one + of_another_scope + failed_despite_a_live_one == 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "of {} requests that left:", self.requests)?;
        writeln!(f, "  {} with an expired token", self.expired)?;
        writeln!(f, "  {} with a token dead on arrival that came before them", self.late_for_a_dead_one)?;
        writeln!(f, "  {} with the token of another scope", self.of_another_scope)?;
        write!(f, "and {} failed while there was a live token", self.failed_despite_a_live_one)
    }
}

impl Register {
    /// The issuer as it should be, with tokens that live so long and that are noted here.
    pub fn issuing(&self, life: Duration) -> Behaviour {
        let register = self.clone();
        Behaviour::change(move |answer| {
            // It rounds to whole seconds, which is much for a life of three.
            answer.remove("expires_at");
            answer.insert("expires_in".to_owned(), json!(life.as_secs()));
            if let Some(token) = answer.get("access_token").and_then(Value::as_str) {
                register.note(token, life);
            }
        })
    }

    fn note(&self, token: &str, life: Duration) {
        let issued = Instant::now();
        let entry = Entry {
            audience: claims(token)["aud"].as_str().unwrap().to_owned(),
            issued,
            end: issued + life,
            taken_off: Some(issued + life.mul_f64(0.9)),
            dead_on_arrival: life.is_zero(),
            first_use: None,
        };
        self.0.lock().unwrap().tokens.insert(token.to_owned(), entry);
    }

    /// A request that began at `began` leaves with this token now.
    pub fn check(&self, token: &str, audience: &str, began: Instant) {
        let now = Instant::now();
        let entries = &mut *self.0.lock().unwrap();
        let entry = entries.tokens.entry(token.to_owned()).or_insert_with(|| noted_by_itself(token, now));
        let first_use = *entry.first_use.get_or_insert(now);
        let verdict = &mut entries.verdict;
        verdict.requests += 1;
        verdict.of_another_scope += u64::from(entry.audience != audience);
        if entry.dead_on_arrival {
            // It is for the requests that waited for it, and for none that began after it was there.
            verdict.late_for_a_dead_one += u64::from(began > first_use);
        } else {
            verdict.expired += u64::from(now >= entry.end);
        }
    }

    /// A request that began at `began` fails now for want of a token. `live` is whether the library has a live
    /// one, and had the same one before.
    pub fn failed(&self, audience: &str, began: Instant, live: bool) {
        let now = Instant::now();
        let entries = &mut *self.0.lock().unwrap();
        let way = LONGEST_WAY + STEPS * entries.pulse.longest_pause();
        let in_use = |entry: &Entry| {
            entry.audience == audience
                && entry.first_use.is_some_and(|first_use| first_use < began)
                && entry.taken_off.is_some_and(|end| now + way < end)
        };
        let live = live || entries.tokens.values().any(in_use);
        entries.verdict.failed_despite_a_live_one += u64::from(live);
    }

    /// Whether every scope's requests leave with tokens that were issued after that moment.
    pub fn all_have_one_of_after(&self, instant: Instant) -> bool {
        let entries = self.0.lock().unwrap();
        let has_one = |scope: &tower_idaas::Scope| {
            let audience = scope.audience();
            let mut of_scope = entries.tokens.values().filter(|entry| entry.audience == audience);
            of_scope
                .any(|entry| entry.issued > instant && entry.first_use.is_some() && !entry.dead_on_arrival)
        };
        scopes().iter().all(has_one)
    }

    /// To be called every [`Pulse::BEAT`]: what comes late shows how busy the machine is.
    pub fn beat(&self) {
        self.0.lock().unwrap().pulse.beat();
    }

    pub fn verdict(&self) -> Verdict {
        self.0.lock().unwrap().verdict
    }
}

/// How long the machine lets tasks wait that are ready to run.
#[derive(Default)]
pub struct Pulse {
    last: Option<Instant>,
    /// The longest pause of the present stretch of a life, and of the one before.
    pauses: [Duration; 2],
    stretch: Option<Instant>,
}

impl Pulse {
    pub const BEAT: Duration = Duration::from_millis(10);

    fn beat(&mut self) {
        let now = Instant::now();
        if now.duration_since(*self.stretch.get_or_insert(now)) > LIFE {
            self.pauses = [Duration::ZERO, self.pauses[0]];
            self.stretch = Some(now);
        }
        let pause = self.last.replace(now).map_or(Duration::ZERO, |last| now.duration_since(last));
        self.pauses[0] = self.pauses[0].max(pause);
    }

    /// Of late, the one included that may be going on.
    fn longest_pause(&self) -> Duration {
        let present = self.last.map_or(Duration::ZERO, |last| last.elapsed());
        self.pauses[0].max(self.pauses[1]).max(present).saturating_sub(Self::BEAT)
    }
}

/// A token that came by another way, from an issuer that was slow: it says itself until when it lives.
fn noted_by_itself(token: &str, now: Instant) -> Entry {
    let claims = claims(token);
    let end = Duration::from_secs(claims["exp"].as_u64().unwrap());
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Entry {
        audience: claims["aud"].as_str().unwrap().to_owned(),
        issued: now,
        end: now + end.saturating_sub(wall),
        taken_off: None,
        dead_on_arrival: false,
        first_use: None,
    }
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
