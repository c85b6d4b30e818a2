//! Reads an object from OSS with the credentials of a RAM role, which the program gets from IDaaS: reqsign signs each
//! request, and the server verifies each signature.
//!
//! It runs offline, against an IDaaS, a DeveloperAPI and an object storage in this process:
//!
//! ```console
//! $ cargo run --example read_from_oss
//! ```
//!
//! With a configuration of your own, `Idaas::from_env()` takes the place of `server.handle()`, and a client that speaks
//! TLS that of the plain one.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use other_sdks::oss::OssCredentials;
use reqsign_aliyun_oss::{RequestSigner, SigningVersion};
use reqsign_core::{Context, Signer};
use tower_idaas::BoxError;
use tower_idaas_testing::{CloudVendor, ObjectStorage, TestIdaas};

const ROLE: &str = "acs:ram::1234567890123456:role/reader";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let server = TestIdaas::start().await?;
    let developer_api = server.start_developer_api().await?;
    developer_api.add_role(ROLE, CloudVendor::AlibabaCloud);
    let storage = server.start_object_storage(&developer_api).await?;
    storage.put("reports", "2026/tea.csv", "cups\n7\n");

    let idaas = server.handle().developer_api_endpoint(developer_api.endpoint()).build()?;
    let role = OssCredentials::from(idaas.cloud_role(ROLE)?);
    let oss = RequestSigner::new("reports")
        .with_region(ObjectStorage::REGION)
        .with_signing_version(SigningVersion::V4);
    let signer = Signer::new(Context::new(), role, oss);
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();

    for _ in 0..3 {
        let request = Request::get(format!("{}/reports/2026/tea.csv", storage.endpoint()));
        let (mut head, body) = request.body(Empty::new())?.into_parts();
        signer.sign(&mut head, None).await?;
        let response = client.request(Request::from_parts(head, body)).await?;
        let status = response.status();
        let object = response.into_body().collect().await?.to_bytes();
        println!("{status}: {:?}", String::from_utf8_lossy(&object));
        if status != StatusCode::OK {
            return Err("the object was not read".into());
        }
    }
    println!("The role's credentials were got once for three requests.");
    assert_eq!((developer_api.issued(), storage.objects_read()), (1, 3));
    Ok(())
}
