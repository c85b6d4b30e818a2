//! A plugin of your own: tokens from somewhere else than the token endpoint, chosen by `pluginName`.
//!
//! ```console
//! $ cargo run --example plugin
//! ```
//!
//! It needs no network: the plugin makes its tokens up.
#![allow(clippy::print_stdout)]

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response, header::AUTHORIZATION};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_idaas::{BoxFuture, Error, Idaas, Scope, SubjectToken, TokenResponse, TokenSource};

/// Where tokens come from: a vault, a sidecar, whatever there is.
#[derive(Debug)]
struct Vault;

impl TokenSource for Vault {
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async move {
            println!("the vault is called for `{scope}`");
            let token = format!("vault-token-for-{}", scope.audience().trim_start_matches("api://"));
            Ok(TokenResponse::bearer(&token)?.with_expires_in(Duration::from_secs(1200)))
        })
    }

    // Without this method, the plugin gets no tokens for users: an exchange fails with `ErrorKind::Unsupported`.
    fn exchange<'a>(
        &'a self,
        user: &'a SubjectToken,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async move {
            println!(
                "the vault is called for `{scope}`, with a user's token of {} bytes",
                user.expose_token().len()
            );
            Ok(TokenResponse::bearer("vault-token-for-a-user")?.with_expires_in(Duration::from_secs(600)))
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    // A file chooses the plugin with `"authnMethod": "PLUGIN", "pluginName": "vault"`; so does code:
    let idaas = Idaas::builder()
        .instance_id("idaas_example")
        .client_id("app_example")
        .scope("api://orders|read")
        .plugin("vault", Vault)
        .plugin_name("vault")
        .build()?;
    let api = service_fn(|request: Request<()>| async move {
        println!("{} arrives with a token: {}", request.uri(), request.headers().contains_key(AUTHORIZATION));
        Ok::<_, Infallible>(Response::new(()))
    });
    let mut client = ServiceBuilder::new().layer(idaas.layer()).service(api);
    for path in ["first", "second", "third"] {
        let request = Request::get(format!("https://orders.example/{path}")).body(())?;
        client.ready().await?.call(request).await?;
    }

    // A request on behalf of a user, whose token came with an inbound request.
    for path in ["fourth", "fifth"] {
        let mut request = Request::get(format!("https://orders.example/{path}")).body(())?;
        request.extensions_mut().insert(SubjectToken::access_token("the-token-of-a-user"));
        client.ready().await?.call(request).await?;
    }
    Ok(())
}
