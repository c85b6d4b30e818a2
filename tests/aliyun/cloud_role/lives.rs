//! When credentials are renewed, and when they are over.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use serde_json::{Value, json};
use tower_idaas::ErrorKind;
use tower_idaas::clock::ManualClock;
use tower_idaas_testing::{Behaviour, CloudVendor, TestIdaas};

use crate::cloud_role::support::{
    ADVISORY, FRESH, MANDATORY, Outcome, ROLE, SESSION, World, client_of, key_id, seconds, until, with_ends,
};

#[tokio::test]
async fn credentials_are_renewed_a_quarter_of_an_hour_before_their_end_behind_the_request() -> Outcome {
    let world = World::new().await?;
    let role = world.role()?;
    let first = key_id(&role.credentials().await?);
    world.clock.advance(FRESH);
    assert_eq!(key_id(&role.credentials().await?), first);

    world.clock.advance(ADVISORY - FRESH);
    world.api.set_behaviour(Behaviour::Hold);
    assert_eq!(key_id(&role.credentials().await?), first);
    world.api.wait_for_held(1).await;
    // No call waits, and none sends a second request.
    assert_eq!(key_id(&role.credentials().await?), first);
    world.api.release();
    until(|| world.api.issued() == 2).await;
    let mut next = first.clone();
    while next == first {
        next = key_id(&role.credentials().await?);
        tokio::task::yield_now().await;
    }
    assert_eq!(world.calls(), 2);
    Ok(())
}

#[tokio::test]
async fn long_sessions_are_not_renewed_at_two_thirds_already() -> Outcome {
    let world = World::new().await?;
    let hours = |hours: u64| seconds(hours * 3600);
    let role = world.role()?.with_session_duration(hours(12))?;
    let first = key_id(&role.credentials().await?);
    // Less a quarter of an hour, less the fifth of that which chance may take.
    world.clock.advance(hours(12) - seconds(18 * 60 + 1));
    assert_eq!(key_id(&role.credentials().await?), first);
    // A renewal behind the request would have reached the API before calls that begin later come back.
    for session in [900, 901] {
        world.role()?.with_session_duration(seconds(session))?.credentials().await?;
    }
    assert_eq!(world.calls(), 3);
    world.clock.advance(seconds(3 * 60 + 1));
    assert_eq!(key_id(&role.credentials().await?), first);
    world.wait_for_calls(4).await;
    Ok(())
}

#[tokio::test]
async fn a_failed_renewal_leaves_live_credentials_alone_and_dead_ones_are_never_handed_out() -> Outcome {
    let world = World::new().await?;
    let role = world.role()?;
    let first = key_id(&role.credentials().await?);
    world.api.set_behaviour(Behaviour::status(StatusCode::SERVICE_UNAVAILABLE));
    for age in [ADVISORY, MANDATORY] {
        let before = world.calls();
        let passed = if age == ADVISORY { ADVISORY } else { MANDATORY - ADVISORY };
        world.clock.advance(passed);
        assert_eq!(key_id(&role.credentials().await?), first);
        world.wait_for_calls(before + 1).await;
        assert_eq!(key_id(&role.credentials().await?), first);
    }
    world.clock.advance(SESSION - MANDATORY);
    let error = role.credentials().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::Unavailable, Some(StatusCode::SERVICE_UNAVAILABLE))
    );

    world.api.set_behaviour(Behaviour::Normal);
    world.clock.advance(seconds(60));
    assert_ne!(key_id(&role.credentials().await?), first);
    Ok(())
}

#[tokio::test]
async fn either_clock_ends_credentials() -> Outcome {
    for suspended in [true, false] {
        let world = World::new().await?;
        let role = world.role()?;
        role.credentials().await?;
        match suspended {
            true => world.clock.set_wall_ahead(SESSION),
            false => {
                world.clock.advance(SESSION);
                world.clock.set_wall_back(SESSION);
            }
        }
        world.api.set_behaviour(Behaviour::status(StatusCode::SERVICE_UNAVAILABLE));
        role.credentials().await.unwrap_err();
    }
    Ok(())
}

/// A server and a client whose clocks differ.
async fn expiry(ours_ahead: Duration, ours_behind: Duration) -> Result<Duration, tower_idaas::BoxError> {
    let (theirs, ours) = (ManualClock::new(), ManualClock::new());
    let start = SystemTime::UNIX_EPOCH + seconds(1_800_000_000);
    for clock in [&theirs, &ours] {
        clock.set_wall_back(Duration::MAX);
        clock.set_wall_ahead(start.duration_since(SystemTime::UNIX_EPOCH)?);
    }
    ours.set_wall_ahead(ours_ahead);
    ours.set_wall_back(ours_behind);
    let issuer = TestIdaas::builder().clock(theirs).start().await?;
    let api = issuer.start_developer_api().await?;
    api.add_role(ROLE, CloudVendor::AlibabaCloud);
    let idaas = client_of(&issuer).developer_api_endpoint(api.endpoint()).clock(ours).build()?;
    let credentials = idaas.cloud_role(ROLE)?.credentials().await?;
    Ok(credentials.expires_at().duration_since(start + ours_ahead - ours_behind)?)
}

#[tokio::test]
async fn where_the_clocks_differ_the_earlier_end_counts() -> Outcome {
    assert_eq!(expiry(Duration::ZERO, Duration::ZERO).await?, SESSION);
    assert_eq!(expiry(seconds(600), Duration::ZERO).await?, SESSION - seconds(600));
    assert_eq!(expiry(Duration::ZERO, seconds(600)).await?, SESSION);
    // What was just issued is live, so this clock is wrong.
    assert_eq!(expiry(seconds(3600), Duration::ZERO).await?, SESSION);
    Ok(())
}

#[tokio::test]
async fn of_two_ends_in_a_response_the_earlier_counts() -> Outcome {
    let world = World::new().await?;
    let hour = world.role()?.credentials().await?.expires_at();
    let unix = hour.duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let half = unix - 1800;
    let half_text = humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + seconds(half)).to_string();
    let offset = half_text.replace('Z', "+00:00");
    for (session, (expiration, expires_at)) in (1000..).zip([
        (json!(half_text), json!(unix)),
        (json!(offset), json!(unix)),
        (json!(unix), json!(half)),
        (json!("tomorrow"), json!(half.to_string())),
        (json!(half), Value::Null),
        (json!(true), json!(half)),
    ]) {
        world.api.behave_once(with_ends(Some(expiration.clone()), Some(expires_at)));
        let role = world.role()?.with_session_duration(seconds(session))?;
        let end = role.credentials().await?.expires_at();
        let end = end.duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        assert_eq!(end, half, "{expiration}");
    }
    Ok(())
}

#[tokio::test]
async fn credentials_without_a_credible_end_are_cached_for_a_minute() -> Outcome {
    let world = World::new().await?;
    let role = world.role()?;
    let soon = role.credentials().await?.expires_at() + 2 * SESSION;
    let soon = humantime::format_rfc3339_seconds(soon).to_string();
    let (mut calls, mut last) = (1, String::new());
    world.clock.advance(SESSION);
    for (expiration, expires_at) in [
        (None, None),
        (Some(json!("tomorrow")), None),
        (Some(Value::Null), Some(json!(-1))),
        (Some(json!("2100-01-01T00:00:00Z")), None),
        (None, Some(json!(1e300))),
        (Some(json!("2100-01-01T08:00:00+08:00")), Some(json!("NaN"))),
        // Without a zone it may be hours away.
        (Some(json!(soon.trim_end_matches('Z'))), None),
    ] {
        world.api.set_behaviour(with_ends(expiration, expires_at));
        let next = key_id(&role.credentials().await?);
        assert_ne!(next, last);
        (calls, last) = (calls + 1, next);
        world.clock.advance(seconds(20));
        assert_eq!((key_id(&role.credentials().await?), world.calls()), (last.clone(), calls));
        world.clock.advance(seconds(40));
    }
    Ok(())
}

#[tokio::test]
async fn credentials_that_come_dead_are_an_error_and_no_storm() -> Outcome {
    let world = World::new().await?;
    let role = world.role()?;
    world.api.set_behaviour(with_ends(Some(json!("2001-01-01T00:00:00Z")), None));
    for _ in 0..20 {
        let error = role.credentials().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse);
        assert!(error.to_string().contains("have ended already"), "{error}");
    }
    assert_eq!(world.calls(), 1);
    Ok(())
}
