//! What users rely on at compile time: everything crosses threads, everything is pinned without ceremony.

use std::cell::Cell;
use std::error::Error as StdError;
use std::fmt::Debug;
use std::future::Ready;
use std::marker::PhantomData;
use std::sync::Arc;

use http::{Request, Response};
use tower::Layer;
use tower_idaas::authn::{
    AssertionKey, AssertionSigner, AssertionSource, Authenticator, ClientSecretBasic, ClientSecretJwt,
    ClientSecretPost, Oidc, Pca, Pkcs7, PrivateKeyJwt, SigningAlgorithm, TokenRequest,
};
use tower_idaas::clock::ManualClock;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::service::{Cloned, ResponseFuture};
use tower_idaas::{
    BoxError, BoxFuture, ConfigError, ConfigFault, Error, ErrorKind, Idaas, IdaasBuilder, IdaasLayer,
    IdaasService, NoToken, RefreshGuard, RetryUnauthorized, Scope, Secret, SecretSource, SubjectToken, Token,
    TokenResponse, TokenSource,
};
use tower_idaas_testing::{
    AccessKey, ApiRefusal, Behaviour, ClientAuthentication, Controls, CredentialsUriService,
    MetadataDocument, MetadataService, OpenApiService, ProtectedApi, ProtectedApiBuilder, ReceivedRequest,
    ResponseChange, ScriptedSource, ServerCertificate, ServiceAccountToken, ServiceRequest, StsService,
    TestIdaas, TestIdaasBuilder, TestProxy, TornFile, Tunnel,
};

fn crosses_threads<T: Send + Sync + Unpin + Debug + 'static>() {}
fn is_cloned<T: Clone>() {}
fn moves_to_threads<T: Send + Unpin + 'static>() {}
fn is_sent<T: Send>(_: T) {}
fn is_an_error<T: StdError + Send + Sync + 'static>() {}

/// An inner service that is no more than it must be: `Send` and `Clone`, not `Sync`.
#[derive(Clone, Debug)]
struct Inner(PhantomData<Cell<u8>>);

impl tower::Service<Request<String>> for Inner {
    type Response = Response<Vec<u8>>;
    type Error = std::io::Error;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        std::future::ready(Ok(Response::new(Vec::new())))
    }
}

#[test]
fn public_types_cross_threads() {
    crosses_threads::<Idaas>();
    crosses_threads::<IdaasLayer>();
    crosses_threads::<IdaasService<()>>();
    crosses_threads::<Token>();
    crosses_threads::<TokenResponse>();
    crosses_threads::<TokenRequest>();
    crosses_threads::<Scope>();
    crosses_threads::<Secret>();
    crosses_threads::<SecretSource>();
    crosses_threads::<NoToken>();
    crosses_threads::<RetryUnauthorized>();
    crosses_threads::<RetryUnauthorized<Cloned>>();
    crosses_threads::<RetryUnauthorized<fn(&String) -> Option<String>>>();
    crosses_threads::<SubjectToken>();
    crosses_threads::<RefreshGuard>();
    crosses_threads::<AssertionKey>();
    crosses_threads::<SigningAlgorithm>();
    crosses_threads::<ClientSecretBasic>();
    crosses_threads::<ClientSecretPost>();
    crosses_threads::<ClientSecretJwt>();
    crosses_threads::<PrivateKeyJwt>();
    crosses_threads::<Pkcs7>();
    crosses_threads::<Oidc>();
    crosses_threads::<Pca>();
    crosses_threads::<Error>();
    crosses_threads::<ErrorKind>();
    crosses_threads::<ConfigError>();
    crosses_threads::<ConfigFault>();
    crosses_threads::<Box<dyn Authenticator>>();
    crosses_threads::<Box<dyn TokenSource>>();
    crosses_threads::<Box<dyn AssertionSigner>>();
    crosses_threads::<Box<dyn AssertionSource>>();
    moves_to_threads::<IdaasBuilder>();
    is_an_error::<Error>();
    is_an_error::<ConfigError>();
}

#[test]
fn what_tests_are_written_with_crosses_threads_too() {
    crosses_threads::<AccessKey>();
    crosses_threads::<TestIdaas>();
    crosses_threads::<TestIdaasBuilder>();
    crosses_threads::<ProtectedApi>();
    crosses_threads::<ProtectedApiBuilder>();
    crosses_threads::<MetadataService>();
    crosses_threads::<ManualClock>();
    crosses_threads::<ManualEnvironment>();
    crosses_threads::<ServiceAccountToken>();
    crosses_threads::<ReceivedRequest>();
    crosses_threads::<ServiceRequest>();
    crosses_threads::<Behaviour>();
    crosses_threads::<MetadataDocument>();
    crosses_threads::<ResponseChange>();
    crosses_threads::<ScriptedSource>();
    crosses_threads::<TestProxy>();
    crosses_threads::<TornFile>();
    crosses_threads::<Tunnel>();
    crosses_threads::<ApiRefusal>();
    crosses_threads::<ClientAuthentication>();
    crosses_threads::<ServerCertificate>();
    crosses_threads::<Controls>();
    crosses_threads::<Controls<ReceivedRequest>>();
    crosses_threads::<CredentialsUriService>();
    crosses_threads::<OpenApiService>();
    crosses_threads::<StsService>();
}

#[cfg(feature = "aliyun")]
#[test]
fn so_does_what_clouds_add() {
    use tower_idaas::aliyun::{
        ApiKey, CloudCredentials, CloudRole, CloudStsToken, ConsentRequired, OauthAccessToken, OauthClient,
        OauthClientCredentials, OauthToken, StsToken,
    };
    use tower_idaas::service::{SecretFuture, SecretLayer, SecretService};
    use tower_idaas_testing::{CloudVendor, DeveloperApi};

    crosses_threads::<CloudRole>();
    crosses_threads::<CloudCredentials>();
    crosses_threads::<StsToken>();
    crosses_threads::<CloudStsToken>();
    crosses_threads::<CloudVendor>();
    crosses_threads::<DeveloperApi>();
    crosses_threads::<ApiKey>();
    crosses_threads::<ConsentRequired>();
    crosses_threads::<OauthAccessToken>();
    crosses_threads::<OauthClient>();
    crosses_threads::<OauthClientCredentials>();
    crosses_threads::<OauthToken>();
    crosses_threads::<SecretLayer>();
    crosses_threads::<SecretService<()>>();
    moves_to_threads::<SecretFuture<Inner, Request<String>>>();
    is_cloned::<ApiKey>();
    is_cloned::<OauthClient>();
    is_cloned::<OauthToken>();
    is_cloned::<SecretLayer>();
    is_cloned::<SecretService<Inner>>();
    is_cloned::<CloudRole>();
    is_cloned::<CloudCredentials>();
    is_cloned::<StsToken>();
    fn of_a_role(role: &CloudRole) {
        is_sent(role.credentials());
    }
    fn of_stored_secrets(key: &ApiKey, client: &OauthClient, token: &OauthToken) {
        is_sent(key.key_text());
        is_sent(client.credentials());
        is_sent(token.token());
    }
    let _ = (of_a_role, of_stored_secrets);
}

#[test]
fn handles_are_cloned() {
    is_cloned::<Idaas>();
    is_cloned::<IdaasLayer>();
    is_cloned::<IdaasService<Inner>>();
    is_cloned::<RetryUnauthorized>();
    is_cloned::<Token>();
    is_cloned::<Scope>();
    is_cloned::<Error>();
    is_cloned::<ErrorKind>();
    is_cloned::<Secret>();
    is_cloned::<SubjectToken>();
    is_cloned::<TokenResponse>();
    is_cloned::<NoToken>();
    is_cloned::<RetryUnauthorized<fn(&String) -> Option<String>>>();
    is_cloned::<ManualClock>();
    is_cloned::<ManualEnvironment>();
}

/// What is shared or boxed is given where the value itself is.
#[test]
fn traits_are_implemented_for_pointers() {
    fn authenticates<A: Authenticator>() {}
    fn signs<S: AssertionSigner>() {}
    fn supplies<S: AssertionSource>() {}
    authenticates::<Arc<dyn Authenticator>>();
    authenticates::<Box<dyn Authenticator>>();
    authenticates::<Arc<ClientSecretPost>>();
    signs::<Arc<dyn AssertionSigner>>();
    signs::<Box<dyn AssertionSigner>>();
    supplies::<Arc<dyn AssertionSource>>();
    supplies::<Box<dyn AssertionSource>>();
}

#[test]
fn futures_move_between_threads_when_the_inner_ones_do() {
    moves_to_threads::<IdaasService<Inner>>();
    moves_to_threads::<ResponseFuture<Inner, Request<String>>>();
    moves_to_threads::<BoxFuture<'static, ()>>();
    fn of_the_handle(idaas: &Idaas, scope: &Scope, subject: &SubjectToken) {
        is_sent(idaas.token());
        is_sent(idaas.token_for(scope));
        is_sent(idaas.exchange(subject));
        is_sent(idaas.exchange_for(subject, scope));
        is_sent(idaas.prefetch());
    }
    fn of_the_layer(layer: &IdaasLayer, request: &mut Request<String>) {
        is_sent(layer.authorize(request));
    }
    let _ = (of_the_handle, of_the_layer);
}

#[test]
fn the_service_is_one_whatever_the_bodies_and_its_error_is_boxed() {
    fn serves<S>(_: &S)
    where
        S: tower::Service<Request<String>, Response = Response<Vec<u8>>, Error = BoxError>,
        S::Future: Send + 'static,
    {
    }
    fn wrapped(layer: &IdaasLayer, inner: Inner) {
        serves(&layer.layer(inner));
    }
    let _ = wrapped;
}

#[cfg(feature = "reqwest")]
#[test]
fn the_same_holds_over_reqwest() {
    use reqwest::{Client, Request, RequestBuilder};
    use tower_idaas::SendError;

    crosses_threads::<IdaasService<Client>>();
    crosses_threads::<SendError>();
    is_an_error::<SendError>();
    is_cloned::<IdaasService<Client>>();
    moves_to_threads::<ResponseFuture<Client, Request>>();
    fn of_the_handle(
        idaas: &Idaas,
        layer: &IdaasLayer,
        subject: &SubjectToken,
        request: fn() -> RequestBuilder,
    ) {
        is_sent(idaas.send(request()));
        is_sent(layer.send(request()));
        is_sent(layer.send_on_behalf_of(subject, request()));
    }
    let _ = of_the_handle;
}

/// What a file makes public at its outermost level, without what needs a feature beyond the default ones.
fn public_names(source: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut needs_a_feature = false;
    let mut rest = source;
    while let Some((line, after)) = rest.split_once('\n') {
        let Some(item) = line.strip_prefix("pub ") else {
            needs_a_feature =
                line.starts_with("#[") && (needs_a_feature || line.starts_with("#[cfg(feature"));
            rest = after;
            continue;
        };
        if let Some(used) = item.strip_prefix("use ") {
            let (paths, after) = rest.split_once(';').unwrap_or((used, ""));
            let last = paths.rsplit("::").next().unwrap_or(paths).trim_matches(['{', '}']);
            names.extend(last.split(',').map(str::trim).filter(|name| !needs_a_feature && !name.is_empty()));
            rest = after;
        } else {
            // A module is a door, not a name to learn.
            let name = item.split([' ', '<', ':', ';', '(']).nth(1);
            names.extend(name.filter(|_| !needs_a_feature && !item.starts_with("mod ")));
            rest = after;
        }
        needs_a_feature = false;
    }
    names.sort_unstable();
    names
}

/// A new name at the root is one more for each user to learn: twenty are enough. It is counted as a program sees it
/// that turns no feature on, modules aside; the names in those are for the few who need them.
#[test]
fn the_names_at_the_root_are_these_twenty() {
    let names = public_names(include_str!("../../src/lib.rs"));
    let known = [
        "BoxError",
        "BoxFuture",
        "ConfigError",
        "ConfigFault",
        "Error",
        "ErrorKind",
        "Idaas",
        "IdaasBuilder",
        "IdaasLayer",
        "IdaasService",
        "NoToken",
        "RefreshGuard",
        "RetryUnauthorized",
        "Scope",
        "Secret",
        "SecretSource",
        "SubjectToken",
        "Token",
        "TokenResponse",
        "TokenSource",
    ];
    assert_eq!(names, known);
    assert_eq!(known.len(), 20);
}

#[test]
fn the_names_behind_the_doors_are_these() {
    let of = |source| public_names(source).join(" ");
    assert_eq!(
        of(include_str!("../../src/authn/mod.rs")),
        "AssertionKey AssertionSigner AssertionSignerFn AssertionSource AssertionSourceFn Authenticator AuthenticatorFn \
         CheckContext ClientSecretBasic ClientSecretJwt ClientSecretPost Oidc Pca Pkcs7 PrivateKeyJwt \
         SigningAlgorithm TokenRequest assertion_signer_fn assertion_source_fn authenticator_fn"
    );
    assert_eq!(
        of(include_str!("../../src/service/mod.rs")),
        "Authorized Cloned Grpc Http HttpRequest HttpResponse IdaasLayer IdaasService NoToken Protocol ResponseFuture \
         RetryUnauthorized rejects_token"
    );
    assert_eq!(
        of(include_str!("../../src/aliyun/mod.rs")),
        "ApiKey CloudCredentials CloudRole CloudStsToken ConsentRequired OauthAccessToken OauthClient OauthClientCredentials \
         OauthToken StsToken"
    );
}
