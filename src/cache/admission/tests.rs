use std::time::Duration;

use tokio_test::task::{self, Spawn};
use tokio_test::{assert_pending, assert_ready};

use crate::cache::admission::*;
use crate::cache::limiter::{STALLED, START};
use crate::clock::ManualClock;

struct Fixture {
    admission: Arc<Admission>,
    manual: ManualClock,
    clock: Clock,
    telemetry: Telemetry,
    heartbeat: Heartbeat,
}

impl Fixture {
    fn new() -> Self {
        Self::with(Admission::default())
    }

    fn with(admission: Admission) -> Self {
        let manual = ManualClock::new();
        let clock = Clock::Manual(manual.clone());
        let (telemetry, heartbeat) = (Telemetry::new("app", "test"), Heartbeat::default());
        Self { admission: Arc::new(admission), manual, clock, telemetry, heartbeat }
    }

    fn acquire(&self, party: Party) -> impl Future<Output = Result<Permit, Refused>> {
        self.acquire_for(party, "a")
    }

    fn acquire_for(
        &self,
        party: Party,
        label: &'static str,
    ) -> impl Future<Output = Result<Permit, Refused>> {
        let priority = match party {
            Party::Own => Priority::Own,
            Party::Other => Priority::First,
        };
        let request = AdmissionRequest { priority, label, heartbeat: &self.heartbeat };
        self.admission.acquire(request, &self.clock, &self.telemetry)
    }

    /// Its connections failed once, and the pause is over: the next request is the probe.
    fn half_open() -> Self {
        let fixture = Self::new();
        fixture.fail(fixture.permit(), &unreachable_server());
        fixture.advance(1);
        fixture
    }

    /// A request that has to wait.
    fn waiter(&self, party: Party) -> Spawn<impl Future<Output = Result<Permit, Refused>>> {
        let mut waiter = task::spawn(self.acquire(party));
        assert_pending!(waiter.poll());
        waiter
    }

    /// `None` when the request has to wait.
    fn try_acquire(&self) -> Option<Result<Permit, Refused>> {
        self.try_acquire_for("a")
    }

    fn try_acquire_for(&self, label: &'static str) -> Option<Result<Permit, Refused>> {
        match task::spawn(self.acquire_for(Party::Own, label)).poll() {
            std::task::Poll::Ready(admitted) => Some(admitted),
            std::task::Poll::Pending => None,
        }
    }

    fn permit(&self) -> Permit {
        self.try_acquire().unwrap().unwrap()
    }

    fn permit_for(&self, label: &'static str) -> Permit {
        self.try_acquire_for(label).unwrap().unwrap()
    }

    fn permit_of_another(&self) -> Permit {
        assert_ready!(task::spawn(self.acquire(Party::Other)).poll()).unwrap()
    }

    fn fail(&self, mut permit: Permit, error: &Error) -> Effect {
        permit.failed(error, false, self.clock.now(), 0.0)
    }

    fn advance(&self, seconds: u64) {
        self.manual.advance(Duration::from_secs(seconds));
    }

    fn is_closed(&self) -> bool {
        let state = self.admission.state();
        state.connection.is_closed() && state.own.is_closed()
    }
}

fn unreachable_server() -> Error {
    Error::new(ErrorKind::Connect, "no route").of_issuer()
}

fn busy() -> Error {
    Error::new(ErrorKind::Unavailable, "busy").with_status(http::StatusCode::SERVICE_UNAVAILABLE)
}

fn internal_error() -> Error {
    Error::new(ErrorKind::Unavailable, "oops").with_status(http::StatusCode::INTERNAL_SERVER_ERROR)
}

#[tokio::test(start_paused = true)]
async fn a_burst_begins_with_a_few_requests_and_each_response_lets_several_more_go() {
    let fixture = Fixture::new();
    let mut permits: Vec<Permit> = (0..START).map(|_| fixture.permit()).collect();
    let mut waiting: Vec<_> = (0..40).map(|_| fixture.waiter(Party::Own)).collect();
    for responses in 1..=2 {
        permits.pop().unwrap().responded();
        let woken: Vec<_> = waiting.extract_if(.., |waiter| waiter.is_woken()).collect();
        // The place of the request, and those by which its response widens the window.
        assert_eq!(woken.len(), START + 1, "after {responses}");
        permits.extend(woken.into_iter().map(|mut waiter| assert_ready!(waiter.poll()).unwrap()));
    }
    assert!(fixture.try_acquire().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_new_request_takes_a_free_place_unless_a_queued_one_was_woken_for_it() {
    let fixture = Fixture::new();
    let mut permits: Vec<Permit> = (0..START).map(|_| fixture.permit()).collect();
    let mut woken = fixture.waiter(Party::Own);
    permits.pop().unwrap().responded();
    assert!(woken.is_woken());
    // One place was freed and eight are new; the queued request has not run yet, and only one of them is for it.
    permits.extend((0..START).map(|_| fixture.permit()));
    let mut last = fixture.waiter(Party::Own);
    permits.push(assert_ready!(woken.poll()).unwrap());
    assert_pending!(last.poll());
    permits.pop();
    assert!(last.is_woken());
    assert!(assert_ready!(last.poll()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_failure_refuses_all_and_what_was_sent_before_does_not_count_again() {
    let fixture = Fixture::new();
    let permits: Vec<Permit> = (0..START).map(|_| fixture.permit()).collect();
    let until = fixture.clock.now().after(Duration::from_secs(1));
    let mut waiter = fixture.waiter(Party::Own);
    for permit in permits {
        assert_eq!(fixture.fail(permit, &unreachable_server()), Effect::Open(until));
    }
    assert_eq!(assert_ready!(waiter.poll()).unwrap_err().until, until);
    assert!(fixture.try_acquire().unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn one_refresh_probes_and_the_others_wait_for_its_result() {
    let fixture = Fixture::half_open();
    let probe = fixture.permit();
    let mut waiter = fixture.waiter(Party::Own);
    let until = fixture.clock.now().after(Duration::from_secs(2));
    assert_eq!(fixture.fail(probe, &unreachable_server()), Effect::Open(until));
    assert_eq!(assert_ready!(waiter.poll()).unwrap_err().until, until);

    fixture.advance(2);
    let probe = fixture.permit();
    let mut waiter = fixture.waiter(Party::Own);
    probe.responded();
    assert!(assert_ready!(waiter.poll()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn after_a_probe_that_is_lost_the_next_request_probes() {
    let fixture = Fixture::half_open();
    let probe = fixture.permit();
    let mut waiter = fixture.waiter(Party::Own);
    drop(probe);
    assert!(waiter.is_woken());
    assert!(assert_ready!(waiter.poll()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn all_waiters_are_refused_when_a_probe_is_lost_between_two_attempts() {
    let fixture = Fixture::new();
    let mut probe = fixture.permit();
    let now = fixture.clock.now();
    assert_eq!(probe.failed(&unreachable_server(), true, now, 0.0), Effect::Probe);
    let mut waiting: Vec<_> = (0..3).map(|_| fixture.waiter(Party::Own)).collect();
    drop(probe);
    for waiter in &mut waiting {
        assert!(waiter.is_woken());
        assert!(assert_ready!(waiter.poll()).is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_on_a_runtime_that_is_not_driven_is_taken_over_and_does_not_count_any_more() {
    let fixture = Fixture::half_open();
    let still = fixture.permit();
    let mut waiter = fixture.waiter(Party::Own);
    for _ in 0..10 {
        // A request whose heartbeat advances may just be slow.
        fixture.heartbeat.beat();
        fixture.manual.advance(STALLED);
        tokio::time::advance(CHECK_INTERVAL).await;
        assert_pending!(waiter.poll());
    }
    fixture.manual.advance(STALLED);
    tokio::time::advance(CHECK_INTERVAL).await;
    let probe = assert_ready!(waiter.poll()).unwrap();
    assert!(fixture.try_acquire().is_none(), "one probe at a time");
    drop(still);
    assert!(fixture.try_acquire().is_none(), "one probe at a time");
    probe.responded();
    assert!(fixture.is_closed());
}

#[tokio::test(start_paused = true)]
async fn lost_requests_use_up_no_places() {
    let fixture = Fixture::new();
    for _ in 0..3 * START {
        drop(fixture.permit());
    }
    assert!(fixture.try_acquire().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_tries_again_at_once_probes_while_the_others_wait() {
    let fixture = Fixture::new();
    let (mut first, mut second) = (fixture.permit(), fixture.permit());
    let now = fixture.clock.now();
    let again = |permit: &mut Permit| permit.failed(&unreachable_server(), true, now, 0.0);
    assert_eq!(again(&mut first), Effect::Probe);
    assert!(matches!(again(&mut second), Effect::Open(_)));
    drop(second);
    assert!(fixture.try_acquire().is_none());
    // The second failure belongs to the same refresh: the pause is that of one.
    let until = now.after(Duration::from_secs(1));
    assert_eq!(fixture.fail(first, &unreachable_server()), Effect::Open(until));
}

#[tokio::test(start_paused = true)]
async fn internal_errors_open_the_circuit_when_two_labels_get_one_and_none_a_response() {
    let fixture = Fixture::new();
    assert_eq!(fixture.fail(fixture.permit(), &internal_error()), Effect::Isolated);
    assert_eq!(fixture.fail(fixture.permit(), &internal_error()), Effect::Isolated);
    fixture.permit().responded();
    assert_eq!(fixture.fail(fixture.permit_for("b"), &internal_error()), Effect::Isolated);
    assert!(matches!(fixture.fail(fixture.permit(), &internal_error()), Effect::Open(_)));
}

/// What a server says, or does not say, that cannot serve now.
fn failures() -> [Error; 4] {
    let silence = Error::new(ErrorKind::Timeout, "no response");
    let broken = Error::new(ErrorKind::Transport, "the connection broke");
    [busy(), busy().with_retry_after(Duration::from_secs(300)), silence, broken]
}

#[tokio::test(start_paused = true)]
async fn one_of_several_labels_that_fails_alone_refuses_and_delays_no_other() {
    for error in failures() {
        let fixture = Fixture::new();
        fixture.permit_for("b").responded();
        for _ in 0..60 {
            assert_eq!(fixture.fail(fixture.permit(), &error), Effect::Isolated, "{error}");
        }
        let _in_flight = fixture.permit();
        drop(fixture.permit_for("b"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_failure_of_the_only_label_so_far_refuses_that_label_and_no_later_one() {
    for error in failures() {
        let fixture = Fixture::new();
        assert!(matches!(fixture.fail(fixture.permit(), &error), Effect::Open(_)), "{error}");
        assert!(fixture.try_acquire().unwrap().is_err());
        fixture.permit_for("b").responded();
        assert!(fixture.is_closed(), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn labels_that_fail_keep_one_that_does_not_fail_out_neither_by_a_pause_nor_by_a_probe() {
    let fixture = Fixture::new();
    let (a, b) = (fixture.permit(), fixture.permit_for("b"));
    fixture.fail(a, &busy());
    assert!(matches!(fixture.fail(b, &busy()), Effect::Open(_)));
    assert!(fixture.try_acquire().unwrap().is_err());

    // In the pause, and then beside the probe of a label that fails.
    fixture.permit_for("c").responded();
    assert!(fixture.is_closed());
    for label in ["a", "b"] {
        fixture.fail(fixture.permit_for(label), &busy());
    }
    fixture.advance(1);
    let hanging = fixture.permit();
    let healthy = fixture.permit_for("c");
    assert!(healthy.probes());
    let mut waiter = task::spawn(fixture.acquire_for(Party::Own, "d"));
    assert_pending!(waiter.poll(), "one at a time");
    healthy.responded();
    assert!(assert_ready!(waiter.poll()).is_ok());
    fixture.fail(hanging, &busy());
    assert!(fixture.is_closed(), "what was sent before the response does not count");
}

#[tokio::test(start_paused = true)]
async fn a_label_that_fails_before_the_pause_is_over_begins_it_again_and_no_other_precedes_it() {
    let fixture = Fixture::new();
    let (a, b) = (fixture.permit(), fixture.permit_for("b"));
    fixture.fail(a, &busy());
    fixture.fail(b, &busy());
    let mut early = fixture.permit_for("c");
    let now = fixture.clock.now();
    let until = now.after(Duration::from_secs(2));
    // Full jitter, which does not shorten this pause.
    assert_eq!(early.failed(&busy(), false, now, 1.0), Effect::Open(until));
    drop(early);
    assert_eq!(fixture.try_acquire_for("d").unwrap().unwrap_err().until, until);
    fixture.advance(2);
    let _probe = fixture.permit();
    assert!(fixture.try_acquire_for("d").is_some(), "once per pause");
}

#[tokio::test(start_paused = true)]
async fn a_probe_before_the_pause_is_over_that_sent_nothing_leaves_its_place_to_the_next_label() {
    let fixture = Fixture::new();
    fixture.fail(fixture.permit(), &busy());
    let missing = Error::new(ErrorKind::Credential, "no such file");
    assert_eq!(fixture.fail(fixture.permit_for("b"), &missing), Effect::Isolated);
    fixture.permit_for("c").responded();
    assert!(fixture.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_server_requests_of_two_labels_holds_for_all() {
    let fixture = Fixture::new();
    let (a, b) = (fixture.permit(), fixture.permit_for("b"));
    fixture.fail(a, &busy().with_retry_after(Duration::from_secs(60)));
    let until = fixture.clock.now().after(Duration::from_secs(60));
    assert_eq!(fixture.fail(b, &busy()), Effect::Open(until));
    assert_eq!(fixture.try_acquire_for("c").unwrap().unwrap_err().until, until);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_labels_send_a_dead_server_twenty_requests_in_the_first_minute_and_then_four_a_minute() {
    let labels: Vec<&'static str> = (0..1_000).map(|number| &*number.to_string().leak()).collect();
    for jitter in [0.0, 0.5, 1.0] {
        let fixture = Fixture::new();
        let mut sent: Vec<u64> = Vec::new();
        for step in 0..15 * 60 * 2 {
            for _ in 0..10 {
                let label = labels[fastrand::usize(..labels.len())];
                if let Some(Ok(mut permit)) = fixture.try_acquire_for(label) {
                    sent.push(step / 2);
                    permit.failed(&busy(), false, fixture.clock.now(), jitter);
                }
            }
            fixture.manual.advance(Duration::from_millis(500));
        }
        let within = |from, to| sent.iter().filter(|second| (from..to).contains(*second)).count();
        assert!((3..=20).contains(&within(0, 60)), "{sent:?}");
        for from in 60..14 * 60 {
            assert!((1..=4).contains(&within(from, from + 60)), "{from}: {sent:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_users_own_source_that_cannot_connect_for_one_label_stops_no_other_label_and_no_other_party() {
    let fixture = Fixture::new();
    fixture.permit_for("b").responded();
    let no_route = Error::new(ErrorKind::Connect, "no route to the backend of this label");
    assert_eq!(fixture.fail(fixture.permit(), &no_route), Effect::Isolated);
    drop(fixture.permit_for("b"));
    assert_eq!(fixture.fail(fixture.permit_of_another(), &no_route), Effect::Isolated);
    drop(fixture.permit_of_another());

    // Nor does it show that the server can be reached.
    let fixture = Fixture::half_open();
    fixture.fail(fixture.permit_of_another(), &no_route);
    assert!(!fixture.is_closed());
}

#[tokio::test(start_paused = true)]
async fn all_queued_requests_together_look_for_stalled_ones_once_an_interval() {
    let fixture = Fixture::new();
    let now = fixture.clock.now();
    fixture.admission.remove_stalled(now);
    let _in_flight = fixture.permit();
    let millis = |millis| now.after(Duration::from_millis(millis));
    let held = |at| {
        fixture.admission.remove_stalled(at);
        fixture.admission.state().limiter.has_holders()
    };
    // The second one comes too early, so that the third one is the first to see the request.
    assert!([100, 1_700, 3_100].into_iter().all(|at| held(millis(at))));
    assert!(!held(millis(3_600)));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_in_vain_gets_the_failure_that_others_had_or_the_number_of_requests() {
    let limit = Duration::from_secs(20);
    let fixture = Fixture::half_open();
    let in_vain = |fixture: &Fixture, priority| fixture.admission.waited_in_vain(priority, limit).kind();
    assert_eq!(in_vain(&fixture, Priority::First), ErrorKind::Connect);
    let fixture = Fixture::new();
    assert_eq!(in_vain(&fixture, Priority::Own), ErrorKind::Overloaded);
    fixture.fail(fixture.permit(), &busy());
    assert_eq!(in_vain(&fixture, Priority::Own), ErrorKind::Unavailable);
    assert_eq!(in_vain(&fixture, Priority::First), ErrorKind::Overloaded);
}

#[tokio::test(start_paused = true)]
async fn failures_of_requests_for_other_parties_open_no_circuit() {
    let fixture = Fixture::new();
    let silence = Error::new(ErrorKind::Timeout, "no response");
    let page = Error::new(ErrorKind::InvalidResponse, "a page of regrets");
    let throttled = busy().with_retry_after(Duration::from_secs(300));
    for error in [busy(), internal_error(), silence, page, throttled] {
        for _ in 0..60 {
            assert_eq!(fixture.fail(fixture.permit_of_another(), &error), Effect::Isolated);
        }
    }
    drop(fixture.permit());
    drop(fixture.permit_of_another());
}

#[tokio::test(start_paused = true)]
async fn own_requests_that_fail_open_no_circuit_for_other_parties() {
    let fixture = Fixture::new();
    assert!(matches!(fixture.fail(fixture.permit(), &busy()), Effect::Open(_)));
    assert!(fixture.try_acquire().unwrap().is_err());
    drop(fixture.permit_of_another());
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_of_connections_refuses_all_parties_and_any_response_closes_it() {
    let fixture = Fixture::new();
    assert!(matches!(fixture.fail(fixture.permit_of_another(), &unreachable_server()), Effect::Open(_)));
    assert!(fixture.try_acquire().unwrap().is_err());
    fixture.advance(1);
    // The failure concerns the party alone, but it shows that the server can be reached.
    assert_eq!(fixture.fail(fixture.permit_of_another(), &busy()), Effect::Isolated);
    drop(fixture.permit());
}

#[tokio::test(start_paused = true)]
async fn connections_that_are_not_made_in_time_open_the_circuit_of_connections_and_close_none() {
    let not_in_time = || Error::new(ErrorKind::Timeout, "no connection within 5 s").unreachable().of_issuer();
    for first in [unreachable_server(), not_in_time()] {
        let fixture = Fixture::new();
        assert!(matches!(fixture.fail(fixture.permit_of_another(), &first), Effect::Open(_)));
        fixture.advance(1);
        for party in [Party::Own, Party::Other] {
            let probe = assert_ready!(task::spawn(fixture.acquire(party)).poll()).unwrap();
            let mut waiter = fixture.waiter(Party::Other);
            assert!(matches!(fixture.fail(probe, &not_in_time()), Effect::Open(_)), "{party:?}");
            assert!(assert_ready!(waiter.poll()).is_err(), "{party:?}");
            assert!(fixture.try_acquire().unwrap().is_err(), "{party:?}");
            fixture.advance(60);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn other_parties_leave_places_for_own_requests_and_their_queue_is_bounded() {
    let fixture = Fixture::with(Admission::new(2));
    let _in_flight = fixture.permit_of_another();
    let mut queue: Vec<_> = (0..32).map(|_| fixture.waiter(Party::Other)).collect();
    let refused = assert_ready!(task::spawn(fixture.acquire(Party::Other)).poll()).unwrap_err();
    assert_eq!((refused.error.kind(), refused.until), (ErrorKind::Overloaded, fixture.clock.now()));
    drop(fixture.permit());
    queue.pop();
    assert_pending!(task::spawn(fixture.acquire(Party::Other)).poll());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_server_is_a_response_and_closes_the_circuit() {
    let refusal = || Error::new(ErrorKind::Refused, "not granted").of_issuer();
    for refusal in [refusal().with_code("invalid_scope"), refusal().with_status(http::StatusCode::FORBIDDEN)]
    {
        let fixture = Fixture::half_open();
        assert_eq!(fixture.fail(fixture.permit_for("b"), &refusal), Effect::Isolated);
        assert!(fixture.is_closed(), "{refusal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_request_after_a_circuit_has_closed_opens_it_again_when_it_fails() {
    let fixture = Fixture::half_open();
    fixture.permit().responded();
    let until = fixture.clock.now().after(Duration::from_secs(1));
    assert_eq!(fixture.fail(fixture.permit(), &unreachable_server()), Effect::Open(until));
}

#[tokio::test(start_paused = true)]
async fn a_new_request_does_not_overtake_a_queued_one() {
    let fixture = Fixture::new();
    let mut permits: Vec<Permit> = (0..START).map(|_| fixture.permit()).collect();
    let mut waiter = fixture.waiter(Party::Own);
    drop(permits.pop());
    assert!(fixture.try_acquire().is_none());
    assert!(assert_ready!(waiter.poll()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_other_servers_refuse_says_nothing_about_this_one() {
    let refused = |message: &str| Error::new(ErrorKind::Refused, message);
    for error in [
        refused("the subject token is blank"),
        refused("the metadata service says no").with_status(http::StatusCode::NOT_FOUND),
        refused("an access key is not known").with_status(http::StatusCode::FORBIDDEN).with_code("NotKnown"),
    ] {
        let fixture = Fixture::new();
        fixture.fail(fixture.permit(), &unreachable_server());
        fixture.advance(1);
        assert_eq!(fixture.fail(fixture.permit_for("b"), &error), Effect::Isolated);
        assert!(!fixture.is_closed(), "{error}");
        // The pause after the next failure is that of the second one.
        let until = fixture.clock.now().after(Duration::from_secs(2));
        assert_eq!(fixture.fail(fixture.permit_for("b"), &unreachable_server()), Effect::Open(until));
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_server_fails_with_opens_and_closes_no_circuit() {
    let page = Error::new(ErrorKind::InvalidResponse, "a page of regrets");
    let silence = Error::new(ErrorKind::Timeout, "no response");
    let throttled = busy().with_retry_after(Duration::from_secs(300));
    let refusal = Error::new(ErrorKind::Refused, "no such client").with_code("invalid_client").of_issuer();
    for error in [busy(), throttled, internal_error(), silence, page, unreachable_server(), refusal] {
        let error = error.of_another_server();
        for party in [Party::Own, Party::Other] {
            let permit = |fixture: &Fixture, label| {
                assert_ready!(task::spawn(fixture.acquire_for(party, label)).poll()).unwrap()
            };
            let fixture = Fixture::new();
            for label in ["a", "b"] {
                assert_eq!(fixture.fail(permit(&fixture, label), &error), Effect::Isolated, "{error}");
            }
            assert!(fixture.is_closed(), "{error}");
            let fixture = Fixture::half_open();
            assert_eq!(fixture.fail(permit(&fixture, "a"), &error), Effect::Isolated, "{error}");
            assert!(!fixture.is_closed(), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_no_response_of_the_server() {
    let fixture = Fixture::new();
    let redirect = Error::new(ErrorKind::InvalidResponse, "to a page of regrets").with_transient(false);
    let redirect = redirect.with_status(http::StatusCode::FOUND).of_issuer();
    fixture.fail(fixture.permit(), &busy());
    fixture.advance(1);
    assert!(matches!(fixture.fail(fixture.permit_for("b"), &redirect), Effect::Open(_)));
    assert!(!fixture.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_missing_says_nothing_about_the_server() {
    let fixture = Fixture::half_open();
    let missing = Error::new(ErrorKind::Credential, "no such file");
    assert_eq!(fixture.fail(fixture.permit_for("b"), &missing), Effect::Isolated);
    let probe = fixture.permit();
    assert!(fixture.try_acquire().is_none(), "still one probe at a time");
    drop(probe);
}

#[tokio::test(start_paused = true)]
async fn the_longest_retry_after_counts_for_all() {
    let fixture = Fixture::new();
    let (first, second) = (fixture.permit(), fixture.permit_for("b"));
    fixture.fail(first, &busy());
    fixture.fail(second, &busy().with_retry_after(Duration::from_secs(60)));
    fixture.advance(59);
    assert!(fixture.try_acquire().unwrap().is_err());
    fixture.advance(1);
    assert!(fixture.try_acquire().unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_503_to_the_probe_of_the_connection_lets_requests_for_other_parties_go_before_its_next_attempt() {
    let fixture = Fixture::half_open();
    let mut probe = fixture.permit();
    let mut other = fixture.waiter(Party::Other);
    assert_eq!(probe.failed(&busy(), true, fixture.clock.now(), 0.0), Effect::Probe);
    assert!(other.is_woken());
    assert!(assert_ready!(other.poll()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_place_that_was_given_to_a_request_on_a_runtime_that_is_not_driven_goes_to_the_next_one() {
    let fixture = Fixture::new();
    let mut permits: Vec<Permit> = (0..START).map(|_| fixture.permit()).collect();
    let [mut undriven, mut driven] = [Party::Own; 2].map(|party| fixture.waiter(party));
    permits.pop();
    assert!(undriven.is_woken() && !driven.is_woken());
    tokio::time::advance(CHECK_INTERVAL).await;
    let _permit = assert_ready!(driven.poll()).unwrap();
    assert_pending!(undriven.poll());
}

#[cfg(feature = "metrics")]
#[tokio::test(start_paused = true)]
async fn a_recorder_of_metrics_that_panics_leaves_no_request_in_the_queue() {
    #[derive(Debug)]
    struct Panics;
    impl metrics::Recorder for Panics {
        fn describe_counter(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
        fn describe_gauge(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
        fn describe_histogram(
            &self,
            _: metrics::KeyName,
            _: Option<metrics::Unit>,
            _: metrics::SharedString,
        ) {
        }
        fn register_counter(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
            metrics::Counter::noop()
        }
        fn register_gauge(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
            std::panic::panic_any("a panic that the test asked for")
        }
        fn register_histogram(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Histogram {
            metrics::Histogram::noop()
        }
    }
    let fixture = Fixture::new();
    let permits: Vec<Permit> = (0..START).map(|_| fixture.permit()).collect();
    let mut enter = task::spawn(fixture.acquire(Party::Own));
    let poll =
        std::panic::AssertUnwindSafe(|| metrics::with_local_recorder(&Panics, || enter.poll().is_ready()));
    assert!(std::panic::catch_unwind(poll).is_err());
    drop(enter);
    assert!(!fixture.admission.is_busy());
    drop(permits);
    assert!(fixture.try_acquire().is_some());
}
