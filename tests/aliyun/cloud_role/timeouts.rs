//! No wait is without end.

use std::time::Duration;

use tower_idaas::{
    BoxError, BoxFuture, Error, ErrorKind, Idaas, IdaasBuilder, Scope, TokenResponse, TokenSource,
};
use tower_idaas_testing::{Behaviour, TestIdaas};

use crate::cloud_role::support::{Outcome, PAM, SESSION, World, key_id};

/// Shorter than anything else that a handle may take by default.
const LIMIT: Duration = Duration::from_millis(150);

/// Tokens of a handle that has all the time it needs.
#[derive(Debug)]
struct Patient(Idaas);

impl TokenSource for Patient {
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async move { TokenResponse::bearer(self.0.token_for(scope).await?.expose_token()) })
    }
}

/// A handle whose limits nothing but the DeveloperAPI has to meet: its token is there.
async fn limited(choose: impl FnOnce(IdaasBuilder) -> IdaasBuilder) -> Result<World, BoxError> {
    let world = World::new().await?;
    world.idaas.token_for(&PAM.parse()?).await?;
    let builder = Idaas::builder()
        .instance_id(TestIdaas::INSTANCE_ID)
        .client_id(world.issuer.client_id())
        .scope(world.issuer.scope().as_str())
        .environment(world.issuer.environment())
        .root_certificate(world.issuer.root_certificate_pem())
        .developer_api_endpoint(world.api.endpoint())
        .clock(world.clock.clone())
        .token_source(Patient(world.idaas.clone()));
    Ok(World { idaas: choose(builder).build()?, ..world })
}

/// The limit, and whose it is.
fn assert_names(error: &Error, problem: &str, world: &World) {
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true));
    let (text, api) = (error.to_string(), world.api.endpoint());
    assert!(text.starts_with(&format!("{problem} https://{api}/v2/")), "{text}");
    assert!(text.contains("/obtainAccessCredential within 150ms"), "{text}");
}

#[tokio::test]
async fn an_api_that_accepts_and_says_nothing_is_given_up() -> Outcome {
    let world = limited(|builder| builder.connect_timeout(LIMIT)).await?;
    world.api.set_behaviour(Behaviour::HangHandshake);
    let error = world.role()?.credentials().await.unwrap_err();
    assert_names(&error, "no connection to", &world);
    Ok(())
}

#[tokio::test]
async fn an_api_that_never_responds_is_given_up() -> Outcome {
    let drip = Behaviour::Drip { interval: Duration::from_millis(10), blanks: None };
    for behaviour in [Behaviour::Hold, drip] {
        let world = limited(|builder| builder.read_timeout(LIMIT)).await?;
        world.api.set_behaviour(behaviour);
        let error = world.role()?.credentials().await.unwrap_err();
        assert_names(&error, "no complete response from", &world);
        assert!(world.calls() <= 1, "it is called again at once");
    }
    Ok(())
}

#[tokio::test]
async fn a_caller_waits_as_long_as_its_limit_and_leaves_the_fetch_going() -> Outcome {
    let world = limited(|builder| builder.wait_timeout(LIMIT)).await?;
    world.api.set_behaviour(Behaviour::Hold);
    let role = world.role()?;
    let error = role.credentials().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let text = error.to_string();
    assert!(text.contains("STS credentials of acs:ram::") && text.contains("within 150ms"), "{text}");
    world.api.wait_for_held(1).await;
    world.api.release();
    // However long the response takes, later calls wait for the same fetch.
    let mut answer = role.credentials().await;
    for _ in 0..200 {
        if answer.is_ok() {
            break;
        }
        answer = role.credentials().await;
    }
    answer?;
    assert_eq!(world.calls(), 1);
    Ok(())
}

#[tokio::test]
async fn an_api_that_is_not_there_is_distinguished() -> Outcome {
    let world = World::new().await?;
    let role = world.role()?;
    let first = key_id(&role.credentials().await?);
    drop(world.api);
    world.clock.advance(SESSION / 2);
    assert_eq!(key_id(&role.credentials().await?), first);
    world.clock.advance(SESSION / 2);
    let error = role.credentials().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connect, true), "{error}");
    Ok(())
}
