//! Set-up that the tests of answers, transport and secrecy share.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[cfg(target_os = "linux")]
pub mod hanging;
pub mod log;
pub mod proxy;
pub mod raw;

use std::error::Error as StdError;

use tower_idaas::authn::ClientSecretPost;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{Idaas, IdaasBuilder, SecretSource};
use tower_idaas_testing::TestIdaas;

/// A client of the test IDaaS with CLIENT_SECRET_POST, built in code, that sees no environment variable of
/// this process.
pub fn builder(idaas: &TestIdaas) -> IdaasBuilder {
    builder_without_secret(idaas).authenticator(ClientSecretPost::new(SecretSource::value(idaas.secret())))
}

/// The same, without a way to authenticate.
pub fn builder_without_secret(idaas: &TestIdaas) -> IdaasBuilder {
    Idaas::builder()
        .instance_id(TestIdaas::INSTANCE_ID)
        .client_id(idaas.client_id())
        .issuer(idaas.issuer())
        .token_endpoint(idaas.token_endpoint())
        .scope(idaas.scope().as_str())
        .root_certificate(idaas.root_certificate_pem())
        .environment(ManualEnvironment::new())
}

/// The whole chain of causes, outermost first.
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text} <- {cause}");
        next = cause.source();
    }
    text
}
