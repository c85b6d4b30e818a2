//! Reads an object from S3 with the credentials of an IAM role, which the program gets from IDaaS: the signer of the AWS
//! SDK signs each request, and the server verifies each signature.
//!
//! It runs offline, against an IDaaS, a DeveloperAPI and an object storage in this process:
//!
//! ```console
//! $ cargo run --example read_from_s3
//! ```
//!
//! A client of the AWS SDK takes the provider as it is:
//! `aws_config::defaults(…).credentials_provider(AwsCredentials::from(role))`, best without the SDK's own cache, as
//! [`AwsCredentials`] says; it then does by itself what `signed` does here.

use std::time::SystemTime;

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use other_sdks::aws::AwsCredentials;
use tower_idaas::BoxError;
use tower_idaas_testing::{CloudVendor, ObjectStorage, TestIdaas};

const ROLE: &str = "arn:aws:iam::123456789012:role/reader";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let server = TestIdaas::start().await?;
    let developer_api = server.start_developer_api().await?;
    developer_api.add_role(ROLE, CloudVendor::Aws);
    let storage = server.start_object_storage(&developer_api).await?;
    storage.put("reports", "2026/tea.csv", "cups\n7\n");

    let idaas = server.handle().developer_api_endpoint(developer_api.endpoint()).build()?;
    let provider = SharedCredentialsProvider::new(AwsCredentials::from(idaas.cloud_role(ROLE)?));
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();

    for _ in 0..3 {
        let request = signed(&provider, &format!("{}/reports/2026/tea.csv", storage.endpoint())).await?;
        let response = client.request(request).await?;
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

/// A GET with the signature that S3 wants.
async fn signed(provider: &SharedCredentialsProvider, uri: &str) -> Result<Request<Empty<Bytes>>, BoxError> {
    let identity = provider.provide_credentials().await?.into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(ObjectStorage::REGION)
        .name("s3")
        .time(SystemTime::now())
        .settings(settings)
        .build()?;
    let mut request = Request::get(uri).body(Empty::new())?;
    let signable = SignableRequest::new("GET", uri, std::iter::empty(), SignableBody::Bytes(&[]))?;
    let (instructions, _) = sign(signable, &parameters.into())?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}
