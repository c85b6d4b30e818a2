//! What is requested, how often, and which calls share the response.

use http::Method;
use http::header::{ACCEPT, AUTHORIZATION};
use tokio::task::JoinSet;
use tower_idaas::aliyun::{CloudStsToken, StsToken};
use tower_idaas::{Scope, SubjectToken};
use tower_idaas_testing::{Behaviour, CloudVendor};

use crate::cloud_role::support::{Outcome, PAM, ROLE, SESSION, World, key_id, seconds};

#[tokio::test]
async fn one_token_serves_tokens_and_roles_where_the_configured_scope_is_that_of_privileged_access() -> Outcome
{
    const NARROW: &str = "urn:cloud:idaas:pam|cloud_account_role:obtain_access_credential";
    for (scope, tokens) in [(NARROW, 1), ("api://test|read", 2)] {
        let world = World::with(|builder| builder.scope(scope)).await?;
        world.idaas.token().await?;
        world.role()?.credentials().await?;
        assert_eq!(world.issuer.token_requests(), tokens, "{scope}");
    }
    Ok(())
}

#[tokio::test]
async fn a_role_for_a_user_has_credentials_of_its_own_with_the_users_exchanged_token() -> Outcome {
    let world = World::new().await?;
    let user = |name: &str| -> Result<_, tower_idaas::BoxError> {
        let token = world.issuer.user_token(name, &"api://front|call".parse()?)?;
        Ok(tower_idaas::SubjectToken::access_token(token.expose_secret().to_owned()))
    };
    let own = key_id(&world.role()?.credentials().await?);
    let (alice, bob) = (user("alice")?, user("bob")?);
    let of_alice = key_id(&world.role()?.with_subject(alice.clone()).credentials().await?);
    let of_bob = key_id(&world.role()?.with_subject(bob).credentials().await?);
    assert!(own != of_alice && own != of_bob && of_alice != of_bob);
    assert_eq!(key_id(&world.role()?.with_subject(alice).credentials().await?), of_alice);
    assert_eq!((world.calls(), world.issuer.token_requests()), (3, 3));
    Ok(())
}

#[tokio::test]
async fn bogus_subjects_evict_no_credentials_of_a_user() -> Outcome {
    let world = World::new().await?;
    let token = world.issuer.user_token("alice", &"api://front|call".parse()?)?;
    let alice = SubjectToken::access_token(token.expose_secret().to_owned());
    let before = key_id(&world.role()?.with_subject(alice.clone()).credentials().await?);
    // More than are kept.
    let mut bogus = JoinSet::new();
    for number in 0..1_100 {
        let subject = SubjectToken::access_token(format!("bogus-{number}"));
        let role = world.role()?.with_subject(subject);
        bogus.spawn(async move { role.credentials().await.is_err() });
    }
    assert!(bogus.join_all().await.into_iter().all(|failed| failed));
    let calls = world.calls();
    assert_eq!(key_id(&world.role()?.with_subject(alice).credentials().await?), before);
    assert_eq!(world.calls(), calls);
    Ok(())
}

#[tokio::test]
async fn a_role_gets_credentials_with_all_that_the_response_holds() -> Outcome {
    let world = World::new().await?;
    let credentials = world.role()?.credentials().await?;

    assert_eq!(credentials.account_id(), Some("ca_test"));
    assert_eq!(credentials.vendor_type(), Some("alibaba_cloud"));
    assert_eq!(credentials.role_id(), Some("carole_reader"));
    assert_eq!(credentials.role_name(), Some("reader"));
    assert_eq!(credentials.role_arn(), Some(ROLE));
    let token = credentials.alibaba_cloud().unwrap();
    assert!(token.access_key_id().starts_with("STS."));
    let (secret, security) = (token.access_key_secret(), token.security_token());
    assert_eq!([secret, security].map(|secret| secret.expose_secret().len()), [32, 32]);
    assert_ne!(secret.expose_secret(), security.expose_secret());
    assert_eq!(token.expires_at(), credentials.expires_at());
    assert_eq!((world.api.issued(), world.issuer.tokens_issued()), (1, 1));
    Ok(())
}

#[tokio::test]
async fn the_call_is_what_the_api_documents() -> Outcome {
    let world = World::new().await?;
    world.role()?.with_session_duration(seconds(900))?.credentials().await?;
    let request = &world.api.requests()[0];
    assert_eq!(request.method, Method::GET);
    let path = "/v2/idaas_test/cloudAccountRoles/_/actions/obtainAccessCredential";
    let role = "acs%3Aram%3A%3A1234567890123456%3Arole%2Freader";
    assert_eq!(
        request.uri.path_and_query().unwrap().as_str(),
        format!("{path}?cloudAccountRoleExternalId={role}&durationSeconds=900")
    );
    let token = world.idaas.token_for(&PAM.parse()?).await?;
    assert_eq!(request.headers[AUTHORIZATION], format!("Bearer {}", token.expose_token()));
    assert_eq!(request.headers[ACCEPT], "application/json");
    assert_eq!(world.issuer.requests()[0].scope.as_deref(), Some(PAM));
    Ok(())
}

#[tokio::test]
async fn other_clouds_have_their_own_credentials() -> Outcome {
    let world = World::new().await?;
    let (aws, tencent) = ("arn:aws:iam::123456789012:role/a", "qcs::cam::uin/1:roleName/t+é&=");
    world.api.add_role(aws, CloudVendor::Aws);
    world.api.add_role(tencent, CloudVendor::TencentCloud);
    let check = |token: &StsToken, prefix: &str| {
        assert!(token.access_key_id().starts_with(prefix));
        let secrets = [token.access_key_secret(), token.security_token()];
        assert_eq!(secrets.map(|secret| secret.expose_secret().len()), [32, 32]);
    };
    let credentials = world.idaas.cloud_role(aws)?.credentials().await?;
    assert!(matches!(credentials.sts_token(), CloudStsToken::Aws(token) if { check(token, "ASIA"); true }));
    assert!(credentials.alibaba_cloud().is_none());
    let credentials = world.idaas.cloud_role(tencent)?.credentials().await?;
    let token = credentials.sts_token();
    assert!(matches!(token, CloudStsToken::TencentCloud(token) if { check(token, "AKID"); true }));
    assert_eq!(credentials.role_arn(), Some(tencent));
    Ok(())
}

#[tokio::test]
async fn a_hundred_callers_make_one_call_and_one_token_request() -> Outcome {
    let world = World::new().await?;
    world.api.set_behaviour(Behaviour::Hold);
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let role = world.role()?;
        callers.spawn(async move { key_id(&role.credentials().await.unwrap()) });
    }
    world.api.wait_for_held(1).await;
    world.api.release();
    let mut ids = callers.join_all().await;
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!((world.calls(), world.issuer.token_requests()), (1, 1));
    Ok(())
}

#[tokio::test]
async fn the_same_role_scope_and_duration_share_credentials_and_no_others_do() -> Outcome {
    let world = World::new().await?;
    let other = "acs:ram::1234567890123456:role/writer";
    world.api.add_role(other, CloudVendor::AlibabaCloud);
    let first = key_id(&world.role()?.credentials().await?);
    let narrow = "urn:cloud:idaas:pam|cloud_account_role:obtain_access_credential";
    let wide: Scope = format!("{narrow} urn:cloud:idaas:pam|x").parse()?;
    let turned: Scope = format!("urn:cloud:idaas:pam|x  {narrow}").parse()?;

    let same = [
        world.idaas.clone().cloud_role(format!(" {ROLE}\n"))?,
        world.role()?.with_scope(PAM.parse()?),
        world.role()?.clone(),
    ];
    for role in same {
        assert_eq!(key_id(&role.credentials().await?), first);
    }
    assert_eq!(world.calls(), 1);

    let mut ids = vec![first];
    for role in [
        world.idaas.cloud_role(other)?,
        world.role()?.with_scope(narrow.parse()?),
        world.role()?.with_scope(wide),
        world.role()?.with_session_duration(SESSION)?,
    ] {
        ids.push(key_id(&role.credentials().await?));
    }
    let turned = key_id(&world.role()?.with_scope(turned).credentials().await?);
    assert_eq!(turned, ids[3]);
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), world.calls()), (5, 5));
    // One token for each of the three scopes, whatever the number of roles.
    assert_eq!(world.issuer.token_requests(), 3);
    Ok(())
}

#[tokio::test]
async fn a_session_lasts_as_long_as_requested() -> Outcome {
    let world = World::new().await?;
    let hour = world.role()?.credentials().await?.expires_at();
    let quarter = world.role()?.with_session_duration(seconds(900))?.credentials().await?.expires_at();
    let difference = hour.duration_since(quarter)?;
    assert_eq!(difference, SESSION - seconds(900));
    Ok(())
}
