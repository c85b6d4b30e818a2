//! Assertions of a machine whose clock is off.

use super::*;
use tower_idaas::authn::ClientSecretJwt;

#[tokio::test]
async fn a_machine_whose_clock_is_off_learns_the_issuers_time_from_the_refusal_and_keeps_to_it() {
    for method in METHODS {
        for off in [Duration::from_secs(3_600), Duration::from_secs(86_400)] {
            for ahead in [true, false] {
                let (issuers, ours) = (ManualClock::new(), ManualClock::new());
                if ahead {
                    ours.set_wall_ahead(off);
                } else {
                    ours.set_wall_back(off);
                }
                let idaas = TestIdaas::builder().clock(issuers.clone()).start().await.unwrap();
                let (builder, _directory) = client(&idaas, method);
                let client = builder.clock(ours.clone()).build().unwrap();
                client.prefetch().await.unwrap();
                assert_eq!(idaas.requests().len(), 2, "one refused, one granted");

                for clock in [&issuers, &ours] {
                    clock.advance(Duration::from_secs(2_000));
                }
                client.prefetch().await.unwrap();
                assert_eq!(idaas.requests().len(), 3, "granted at once");
            }
        }
    }
}

/// A `Date` that is off by so much, as a proxy with a clock of its own stamps it.
#[allow(clippy::disallowed_methods, reason = "the clock of the test itself")]
fn dated(behaviour: Behaviour, off: Duration) -> Behaviour {
    let date = httpdate::fmt_http_date(std::time::SystemTime::now() + off);
    behaviour.with_header(http::header::DATE, http::HeaderValue::from_str(&date).unwrap())
}

#[tokio::test]
async fn a_wrong_date_changes_nothing_while_no_assertion_is_refused() {
    for method in METHODS {
        let clock = ManualClock::new();
        let idaas = TestIdaas::builder().clock(clock.clone()).start().await.unwrap();
        idaas.set_behaviour(dated(Behaviour::Normal, Duration::from_secs(600)));
        let (builder, _directory) = client(&idaas, method);
        let client = builder.clock(clock.clone()).build().unwrap();
        for requests in 1..=4 {
            client.prefetch().await.unwrap();
            assert_eq!(idaas.requests().len(), requests);
            clock.advance(Duration::from_secs(2_000));
        }
    }
}

#[tokio::test]
async fn a_correction_that_was_not_accepted_is_forgotten() {
    let clock = ManualClock::new();
    let idaas = TestIdaas::builder().clock(clock.clone()).start().await.unwrap();
    let client =
        in_code(&idaas).authenticator(ClientSecretJwt::new(tower_idaas::SecretSource::value(idaas.secret())));
    let client = client.clock(clock.clone()).build().unwrap();
    // Refused for another reason, with a date that is a day off: the attempt by that date is refused as well.
    let refusal = Behaviour::code(http::StatusCode::UNAUTHORIZED, "invalid_client");
    idaas.behave_once(dated(refusal, Duration::from_secs(86_400)));
    refused(&client).await;
    assert_eq!(idaas.requests().len(), 2);
    clock.advance(Duration::from_secs(10));
    client.prefetch().await.unwrap();
    assert_eq!(idaas.requests().len(), 3, "granted at once, by our own clock");
}

#[tokio::test]
async fn a_response_of_a_cache_teaches_nothing() {
    let clock = ManualClock::new();
    let idaas = TestIdaas::builder().clock(clock.clone()).start().await.unwrap();
    let client =
        in_code(&idaas).authenticator(ClientSecretJwt::new(tower_idaas::SecretSource::value(idaas.secret())));
    let client = client.clock(clock.clone()).build().unwrap();
    let refusal = Behaviour::code(http::StatusCode::UNAUTHORIZED, "invalid_client");
    let age = (http::HeaderName::from_static("age"), http::HeaderValue::from_static("86400"));
    idaas.behave_once(dated(refusal, Duration::from_secs(86_400)).with_header(age.0, age.1));
    refused(&client).await;
    assert_eq!(idaas.requests().len(), 1);
}

#[tokio::test]
async fn a_correction_is_left_when_this_machines_clock_was_set_right() {
    let (issuers, ours) = (ManualClock::new(), ManualClock::new());
    ours.set_wall_ahead(Duration::from_secs(3_600));
    let idaas = TestIdaas::builder().clock(issuers.clone()).start().await.unwrap();
    let client =
        in_code(&idaas).authenticator(ClientSecretJwt::new(tower_idaas::SecretSource::value(idaas.secret())));
    let client = client.clock(ours.clone()).build().unwrap();
    client.prefetch().await.unwrap();
    assert_eq!(idaas.requests().len(), 2);
    ours.set_wall_back(Duration::from_secs(3_600));
    for clock in [&issuers, &ours] {
        clock.advance(Duration::from_secs(2_000));
    }
    client.prefetch().await.unwrap();
    assert_eq!(idaas.requests().len(), 4, "one refused, one granted");
}

#[tokio::test]
async fn a_wrong_key_is_not_tried_again_for_the_clocks_sake() {
    let idaas = TestIdaas::start().await.unwrap();
    let client = in_code(&idaas).authenticator(ClientSecretJwt::new(value("wrong"))).build().unwrap();
    refused(&client).await;
    assert_eq!(idaas.requests().len(), 1);
}
