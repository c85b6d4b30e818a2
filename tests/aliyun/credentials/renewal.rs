//! Temporary credentials are kept, renewed in time, and replaced when they are refused.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// One that is not cached, so that a request is signed.
async fn token_of_another_scope(idaas: &Idaas) {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    idaas.token_for(&format!("api://{number}|read").parse().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_roles_credential_is_renewed_a_quarter_of_an_hour_before_its_end_behind_a_request() {
    let fixture = Fixture::new().await;
    let idaas = fixture.client(&fixture.rrsa());
    idaas.token().await.unwrap();
    let first = fixture.signer();

    // An hour, less 15 minutes, less the fifth of those that chance may take.
    fixture.clock.advance(42 * MINUTE - Duration::from_secs(1));
    idaas.token().await.unwrap();
    assert_eq!((fixture.sts.requests().len(), fixture.signer()), (1, first.clone()));

    fixture.clock.advance(3 * MINUTE + Duration::from_secs(1));
    fixture.sts.set_behaviour(Behaviour::Hold);
    token_of_another_scope(&idaas).await;
    assert_eq!(fixture.signer(), first, "no request waits for the renewal");
    let renewal = tokio::time::timeout(Duration::from_secs(20), fixture.sts.wait_for_held(1));
    renewal.await.unwrap();
    fixture.sts.release();
    while fixture.signer() == first {
        token_of_another_scope(&idaas).await;
    }
    assert_eq!(fixture.sts.requests().len(), 2);
}

#[tokio::test]
async fn a_hundred_callers_share_one_request_for_the_credential() {
    let fixture = Fixture::new().await;
    let idaas = fixture.client(&fixture.rrsa());
    fixture.sts.set_behaviour(Behaviour::Hold);
    let callers: Vec<_> = (0..100)
        .map(|number| {
            let idaas = idaas.clone();
            let scope = format!("api://{number}|read").parse().unwrap();
            tokio::spawn(async move { idaas.token_for(&scope).await })
        })
        .collect();
    fixture.sts.wait_for_held(1).await;
    fixture.sts.release();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!((fixture.open_api.tokens_issued(), fixture.sts.requests().len()), (100, 1));
}

#[tokio::test]
async fn a_failed_renewal_keeps_the_live_credential() {
    let fixture = Fixture::new().await;
    let idaas = fixture.client(&fixture.rrsa());
    idaas.token().await.unwrap();
    let first = fixture.signer();
    fixture.sts.set_behaviour(Behaviour::status(StatusCode::SERVICE_UNAVAILABLE));
    fixture.clock.advance(50 * MINUTE);
    idaas.token().await.unwrap();
    assert_eq!(fixture.signer(), first);
    // In its last minute it is waited for, in vain.
    fixture.clock.advance(9 * MINUTE + Duration::from_secs(30));
    token_of_another_scope(&idaas).await;
    assert_eq!(fixture.signer(), first);
    assert!(fixture.sts.requests().len() >= 2);

    fixture.clock.advance(MINUTE);
    fixture.outlive_the_token();
    let error = failure(&idaas).await;
    assert!(error.to_string().contains("responded with 503"), "{error}");
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true));
}

#[tokio::test]
async fn a_rotated_service_account_token_is_read_at_the_next_renewal() {
    let fixture = Fixture::new().await;
    let path = fixture.folder.path().join("rrsa-token");
    let token = || {
        let token = fixture.idaas.service_account_token().audience(StsService::TOKEN_AUDIENCE);
        token.life(10 * MINUTE)
    };
    token().write_to(&path).unwrap();
    let idaas = fixture.client(&fixture.sts.environment(&path));
    idaas.token().await.unwrap();

    fixture.clock.advance(61 * MINUTE);
    let error = failure(&idaas).await;
    assert!(
        error.to_string().contains("AuthenticationFail.OIDCToken.Invalid (the token has expired)"),
        "{error}"
    );
    token().write_to(&path).unwrap();
    fixture.clock.advance(MINUTE);
    idaas.token().await.unwrap();
    assert_eq!(fixture.sts.credentials_issued(), 2);
}

#[tokio::test]
async fn rotated_keys_are_picked_up_without_a_restart() {
    let fixture = Fixture::new().await;
    let key = |id: &str| json!({ "mode": "AK", "access_key_id": id, "access_key_secret": "s3cret" });
    fixture.open_api.add_access_key(AccessKey::new("old", "s3cret"));
    fixture.write_cli_profile(key("old"));
    let from_file = fixture.client(&nothing());
    let environment = AccessKey::new("old", "s3cret").environment();
    let from_environment = fixture.client(&environment);
    from_file.token().await.unwrap();
    from_environment.token().await.unwrap();

    fixture.open_api.remove_access_key("old");
    fixture.open_api.add_access_key(AccessKey::new("new", "s3cret"));
    fixture.write_cli_profile(key("new"));
    environment.set("ALIBABA_CLOUD_ACCESS_KEY_ID", "new");
    fixture.outlive_the_token();
    for idaas in [from_file, from_environment] {
        idaas.token().await.unwrap();
        assert_eq!(fixture.signer(), "new");
    }
}

#[tokio::test]
async fn a_changed_role_makes_another_credential_at_once() {
    let fixture = Fixture::new().await;
    let profile = |session: &str| {
        json!({
            "mode": "RamRoleArn", "access_key_id": "LTAI_test",
            "access_key_secret": "not-a-real-access-key-secret",
            "ram_role_arn": StsService::ROLE_ARN, "ram_session_name": session,
        })
    };
    fixture.write_cli_profile(profile("one"));
    let idaas = fixture.client(&nothing());
    idaas.token().await.unwrap();
    fixture.write_cli_profile(profile("two"));
    fixture.outlive_the_token();
    idaas.token().await.unwrap();
    let requests = fixture.sts.requests();
    let sessions = requests.iter().map(|request| request.parameter("RoleSessionName").unwrap());
    assert!(sessions.eq(["one", "two"]), "{requests:?}");
}

#[tokio::test]
async fn a_credential_that_the_server_refuses_is_replaced_at_once() {
    let fixture = Fixture::new().await;
    let idaas = fixture.client(&fixture.rrsa());
    idaas.token().await.unwrap();
    let first = fixture.signer();
    fixture.open_api.remove_access_key(&first);
    fixture.outlive_the_token();
    idaas.token().await.unwrap();
    assert_ne!(fixture.signer(), first);
    assert_eq!((fixture.sts.requests().len(), fixture.open_api.requests().len()), (2, 3));
}

#[tokio::test]
async fn a_credential_does_not_expire_early_because_this_machines_clock_is_ahead() {
    let fixture = Fixture::new().await;
    // This machine's clock is two hours ahead of STS, whose credential seems to have expired by it.
    let ahead = ManualClock::new();
    ahead.set_wall_ahead(120 * MINUTE);
    let environment = fixture.rrsa();
    let idaas = fixture.builder(&environment).clock(ahead).build().unwrap();
    // The OpenAPI refuses the date of the signature first, and takes it by its own clock.
    idaas.token().await.unwrap();
    assert_eq!((fixture.sts.credentials_issued(), fixture.open_api.requests().len()), (1, 2));
}
