//! The OpenAPI verifies what it receives: a call that is changed on its way, or comes twice, is refused.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tower::service_fn;
use tower_idaas::Idaas;

use super::{Fixture, Outcome};

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;
type Call = Request<Full<Bytes>>;

/// A client that speaks this version of HTTP only.
fn http(fixture: &Fixture, version: Version) -> Http {
    let root = CertificateDer::from_pem_slice(fixture.idaas.root_certificate_pem().as_bytes());
    let mut roots = RootCertStore::empty();
    roots.add(root.unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_only();
    let connector = match version {
        Version::HTTP_2 => connector.enable_http2().build(),
        _ => connector.enable_http1().build(),
    };
    Client::builder(TokioExecutor::new()).http2_only(version == Version::HTTP_2).build(connector)
}

/// A client whose calls go through this.
fn through<F>(fixture: &Fixture, send: impl Fn(Http, Call) -> F + Clone + Send + Sync + 'static) -> Idaas
where
    F: Future<Output = Result<Response<Incoming>, Error>> + Send + 'static,
{
    let http = http(fixture, Version::HTTP_2);
    let service = service_fn(move |call| send(http.clone(), call));
    let builder = fixture.client_with(fixture.temporary_key().environment());
    builder.transport(service).build().unwrap()
}

#[tokio::test]
async fn both_versions_of_http_carry_the_signed_host() -> Outcome {
    let fixture = Fixture::new().await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let http = http(&fixture, version);
        let builder = fixture.client_with(fixture.open_api.access_key().environment());
        builder.transport(http).build()?.token().await?;
    }
    let hosts: Vec<bool> =
        fixture.open_api.requests().iter().map(|request| request.headers.contains_key("host")).collect();
    assert_eq!(hosts, [true, false]);
    Ok(())
}

#[tokio::test]
async fn a_call_that_comes_twice_is_refused_the_second_time() -> Outcome {
    let fixture = Fixture::new().await;
    let idaas = through(&fixture, |http: Http, call: Call| async move {
        let _ = http.request(call.clone()).await?;
        http.request(call).await
    });
    let error = idaas.token().await.unwrap_err();
    assert_eq!(error.code(), Some("SignatureNonceUsed"));
    assert!(error.is_transient(), "the next call has a nonce of its own");
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_changed_on_its_way_is_refused() -> Outcome {
    /// Changes a header, where it is.
    fn set(call: &mut Call, name: &'static str, value: &'static str) {
        assert!(call.headers_mut().insert(name, HeaderValue::from_static(value)).is_some(), "{name}");
    }
    /// Changes the text of the `Authorization` header.
    fn authorization(call: &mut Call, from: &str, to: &str) {
        let value = call.headers()["authorization"].to_str().unwrap().to_owned();
        assert!(value.contains(from), "{value}");
        call.headers_mut().insert("authorization", value.replacen(from, to, 1).parse().unwrap());
    }
    fn query(call: &mut Call, from: &str, to: &str) {
        let uri = call.uri().to_string();
        assert!(uri.contains(from), "{uri}");
        *call.uri_mut() = uri.replace(from, to).parse::<Uri>().unwrap();
    }
    type Change = fn(&mut Call);
    const NOT_SIGNED: &str = "IncompleteSignature";
    let changes: [(&str, Change); 14] = [
        ("SignatureDoesNotMatch", |call| query(call, "ScopeValues.1=read", "ScopeValues.1=write")),
        ("SignatureDoesNotMatch", |call| query(call, "InstanceId", "instanceId")),
        ("SignatureDoesNotMatch", |call| query(call, "/?", "/?A=b&")),
        ("SignatureDoesNotMatch", |call| set(call, "x-acs-signature-nonce", "other")),
        ("SignatureDoesNotMatch", |call| authorization(call, "Signature=", "Signature=0")),
        ("InvalidTimeStamp.Expired", |call| set(call, "x-acs-date", "2001-01-01T00:00:00Z")),
        ("InvalidTimeStamp.Format", |call| set(call, "x-acs-date", "yesterday")),
        ("InvalidParameter.ContentSha256", |call| set(call, "x-acs-content-sha256", "e3b0")),
        ("InvalidAction.NotFound", |call| set(call, "x-acs-version", "2015-04-01")),
        ("InvalidAccessKeyId.NotFound", |call| authorization(call, "Credential=", "Credential=x")),
        (NOT_SIGNED, |call| authorization(call, "host;", "")),
        (NOT_SIGNED, |call| authorization(call, ";x-acs-security-token", "")),
        (NOT_SIGNED, |call| authorization(call, "x-acs-date;", "x-acs-date;x-acs-date;")),
        ("MissingAuthorization", |call| drop(call.headers_mut().remove("authorization"))),
    ];
    for (code, change) in changes {
        let fixture = Fixture::new().await;
        let idaas = through(&fixture, move |http: Http, mut call: Call| {
            change(&mut call);
            http.request(call)
        });
        assert_eq!(idaas.token().await.unwrap_err().code(), Some(code));
        assert_eq!(fixture.open_api.tokens_issued(), 0);
    }
    Ok(())
}
