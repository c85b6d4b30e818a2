//! OIDC: whose token is accepted, and how its file may change.

use super::*;
use tower_idaas::authn::Oidc;

#[tokio::test]
async fn oidc_gets_a_token_from_file_and_from_code() {
    let fixture = Fixture::new().await;
    let path = fixture.write_token();
    fixture.oidc().token().await.unwrap();
    let in_code = fixture
        .with_clock(Idaas::builder())
        .instance_id(TestIdaas::INSTANCE_ID)
        .client_id(fixture.idaas.client_id())
        .issuer(fixture.idaas.issuer())
        .token_endpoint(fixture.idaas.token_endpoint())
        .scope("api://x|read")
        .authenticator(Oidc::from_file(TestIdaas::FEDERATED_CREDENTIAL, path));
    in_code.build().unwrap().token().await.unwrap();
    for request in fixture.idaas.requests() {
        assert_eq!(request.client_authentication, Some(ClientAuthentication::Oidc));
    }
    assert_eq!((fixture.idaas.tokens_issued(), fixture.idaas.rejected_requests()), (2, 0));
}

#[tokio::test]
async fn a_service_account_token_for_another_audience_or_of_the_past_is_refused() {
    let fixture = Fixture::new().await;
    let path = fixture.write_token();
    let token = || fixture.idaas.service_account_token();
    for (token, why) in [
        (token().audience("https://elsewhere.example"), "for another audience"),
        (token().subject("system:serviceaccount:default:other"), "of another service account"),
        (token().age(120 * MINUTE), "has expired"),
    ] {
        token.write_to(&path).unwrap();
        refused(&fixture.oidc(), why).await;
    }
    let stranger = Fixture::new().await;
    stranger.idaas.service_account_token().audience(fixture.idaas.issuer()).write_to(&path).unwrap();
    refused(&fixture.oidc(), "not signed by the cluster").await;
    // A refused token that has not changed is not sent again.
    assert_eq!(fixture.idaas.token_requests(), 4);
}

#[tokio::test]
async fn a_token_of_another_issuer_is_not_sent_again_because_the_clocks_differ() {
    let fixture = Fixture::new().await;
    let path = fixture.write_token();
    fixture.idaas.service_account_token().audience("https://elsewhere.example").write_to(&path).unwrap();
    let ours = ManualClock::new();
    ours.set_wall_back(60 * MINUTE);
    let idaas = fixture.builder(ClientAuthentication::Oidc).clock(ours).build().unwrap();
    refused(&idaas, "for another audience").await;
    assert_eq!(fixture.idaas.token_requests(), 1);
}

#[tokio::test]
async fn a_rotated_token_is_used_at_the_next_refresh_without_a_restart() {
    let fixture = Fixture::new().await;
    let path = fixture.write_token();
    let idaas = fixture.oidc();
    idaas.token().await.unwrap();
    // The old one is of no use any more: only the new one can get a token.
    fixture.clock.advance(50 * MINUTE);
    fixture.idaas.service_account_token().write_to(&path).unwrap();
    fixture.clock.advance(20 * MINUTE);
    idaas.token().await.unwrap();
    assert_eq!((fixture.idaas.token_requests(), fixture.idaas.rejected_requests()), (2, 0));
}

#[tokio::test]
async fn a_token_that_is_swapped_while_the_old_one_is_refused_is_tried_at_once() {
    let fixture = Fixture::new().await;
    let path = fixture.write_token();
    fixture.idaas.service_account_token().audience("elsewhere").write_to(&path).unwrap();
    let idaas = fixture.oidc();
    fixture.idaas.set_behaviour(Behaviour::Hold);
    let asking = tokio::spawn({
        let idaas = idaas.clone();
        async move { idaas.token().await }
    });
    fixture.idaas.wait_for_held(1).await;
    fixture.write_token();
    fixture.idaas.release();
    asking.await.unwrap().unwrap();
    assert_eq!((fixture.idaas.token_requests(), fixture.idaas.rejected_requests()), (2, 1));
}

#[tokio::test]
async fn the_kubelets_swap_of_a_symlink_is_followed() {
    use std::os::unix::fs::symlink;

    let fixture = Fixture::new().await;
    let mount = fixture.folder.path();
    let publish = |version: &str, token: String| {
        std::fs::create_dir(mount.join(version)).unwrap();
        std::fs::write(mount.join(version).join("token"), token).unwrap();
        symlink(version, mount.join("..data_tmp")).unwrap();
        std::fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    };
    publish("..first", fixture.idaas.service_account_token().issue().unwrap());
    symlink("..data/token", mount.join("token")).unwrap();
    let environment = fixture.idaas.environment();
    environment.set(TestIdaas::TOKEN_FILE_VARIABLE, mount.join("token"));
    let idaas = fixture.builder(ClientAuthentication::Oidc).environment(environment).build().unwrap();
    idaas.token().await.unwrap();

    fixture.clock.advance(61 * MINUTE);
    publish("..second", fixture.idaas.service_account_token().issue().unwrap());
    std::fs::remove_dir_all(mount.join("..first")).unwrap();
    idaas.token().await.unwrap();
    assert_eq!(fixture.idaas.rejected_requests(), 0);
}

#[tokio::test]
async fn while_the_file_is_absent_the_last_token_serves_until_it_expires() {
    let fixture = Fixture::new().await;
    let path = fixture.write_token();
    let idaas = fixture.oidc();
    idaas.token().await.unwrap();
    std::fs::remove_file(&path).unwrap();
    fixture.outlive_the_token();
    idaas.token().await.unwrap();
    fixture.clock.advance(60 * MINUTE);
    let error = idaas.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credential);
    assert!(error.to_string().contains(&format!("{} does not exist", path.display())), "{error}");
    fixture.write_token();
    fixture.clock.advance(10 * MINUTE); // past the pause after a failure
    idaas.token().await.unwrap();
    assert_eq!(fixture.idaas.rejected_requests(), 0);
}

#[tokio::test]
async fn a_file_emptied_under_a_running_process_is_bridged_until_the_token_in_it_expires_and_then_reported() {
    let fixture = Fixture::new().await;
    let path = fixture.write_token();
    let idaas = fixture.oidc();
    let first = idaas.token().await.unwrap();
    std::fs::write(&path, "").unwrap();
    assert_eq!(idaas.token().await.unwrap().expose_token(), first.expose_token());
    fixture.outlive_the_token();
    idaas.token().await.unwrap();
    fixture.clock.advance(60 * MINUTE);
    let error = idaas.token().await.unwrap_err();
    assert!(error.to_string().contains(&format!("{} is empty", path.display())), "{error}");
}
