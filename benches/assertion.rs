//! What one assertion costs, per algorithm: the price of an attempt at a token, not of a request with one.
//!
//! Each round fetches a token through a transport that answers at once with one that cannot be cached. The
//! first row sends the secret as it is, and so is the price of the round itself.
#![allow(missing_docs, clippy::unwrap_used)]

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::{Request, Response};
use http_body_util::Full;
use tokio::runtime::Builder;
use tower_idaas::authn::{ClientSecretJwt, ClientSecretPost, PrivateKeyJwt};
use tower_idaas::{Idaas, IdaasBuilder, SecretSource};

fn builder() -> IdaasBuilder {
    let answer = Bytes::from_static(br#"{"access_token":"t","token_type":"Bearer","expires_in":0}"#);
    let transport = tower::service_fn(move |_: Request<Full<Bytes>>| {
        let answer = Response::new(Full::new(answer.clone()));
        async { Ok::<_, std::io::Error>(answer) }
    });
    Idaas::builder()
        .instance_id("idaas_bench")
        .client_id("app_bench")
        .issuer("https://idaas.example.com")
        .token_endpoint("https://idaas.example.com/token")
        .scope("api://bench|.all")
        .transport(transport)
}

fn value(text: &str) -> SecretSource {
    SecretSource::value(text.to_owned())
}

/// A client with a new key; the base64 of its PKCS#8 will do.
fn client(pkcs8: &[u8]) -> Idaas {
    builder().authenticator(PrivateKeyJwt::new(value(&STANDARD.encode(pkcs8)))).build().unwrap()
}

fn rsa(size: KeySize) -> Idaas {
    let pkcs8: Pkcs8V1Der<'_> = RsaKeyPair::generate(size).unwrap().as_der().unwrap();
    client(pkcs8.as_ref())
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm) -> Idaas {
    client(EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap().as_ref())
}

fn assertion(criterion: &mut Criterion) {
    const SECRET: &str = "CSnotARealSecretForBenchmarks0123456789";
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut group = criterion.benchmark_group("assertion");
    for (name, idaas) in [
        ("none", builder().authenticator(ClientSecretPost::new(value(SECRET))).build().unwrap()),
        ("HS256", builder().authenticator(ClientSecretJwt::new(value(SECRET))).build().unwrap()),
        ("RS256-2048", rsa(KeySize::Rsa2048)),
        ("RS512-4096", rsa(KeySize::Rsa4096)),
        ("ES256", ec(&ECDSA_P256_SHA256_FIXED_SIGNING)),
        ("ES384", ec(&ECDSA_P384_SHA384_FIXED_SIGNING)),
        ("ES512", ec(&ECDSA_P521_SHA512_FIXED_SIGNING)),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| runtime.block_on(idaas.token()).unwrap()));
    }
}

criterion_group!(benches, assertion);
criterion_main!(benches);
