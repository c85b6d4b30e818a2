//! What the providers give, and what they say when there is nothing to give.

use std::time::SystemTime;

use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use http::{Request, StatusCode};
use other_sdks::aws::AwsCredentials;
use other_sdks::oss::OssCredentials;
use reqsign_aliyun_oss::{RequestSigner, SigningVersion};
use reqsign_core::{Context, ErrorKind, ProvideCredential, Signer, SigningCredential};
use tower_idaas::{BoxError, Idaas};
use tower_idaas_testing::{Behaviour, CloudVendor, DeveloperApi, ObjectStorage, TestIdaas};

const RAM_ROLE: &str = "acs:ram::1234567890123456:role/reader";
const IAM_ROLE: &str = "arn:aws:iam::123456789012:role/reader";

type Outcome = Result<(), BoxError>;

struct World {
    _server: TestIdaas,
    api: DeveloperApi,
    storage: ObjectStorage,
    idaas: Idaas,
}

impl World {
    async fn new() -> Result<Self, BoxError> {
        let server = TestIdaas::start().await?;
        let api = server.start_developer_api().await?;
        api.add_role(RAM_ROLE, CloudVendor::AlibabaCloud);
        api.add_role(IAM_ROLE, CloudVendor::Aws);
        let storage = server.start_object_storage(&api).await?;
        let idaas = server.handle().developer_api_endpoint(api.endpoint()).build()?;
        Ok(Self { _server: server, api, storage, idaas })
    }

    fn oss(&self, arn: &str) -> Result<OssCredentials, BoxError> {
        Ok(self.idaas.cloud_role(arn)?.into())
    }

    fn aws(&self, arn: &str) -> Result<AwsCredentials, BoxError> {
        Ok(self.idaas.cloud_role(arn)?.into())
    }
}

#[tokio::test]
async fn both_give_the_credentials_of_the_cache_with_their_end() -> Outcome {
    let world = World::new().await?;
    let (oss, aws) = (world.oss(RAM_ROLE)?, world.aws(IAM_ROLE)?);
    let one = oss.provide_credential(&Context::new()).await?.ok_or("nothing")?;
    let again = oss.provide_credential(&Context::new()).await?.ok_or("nothing")?;
    assert_eq!((&one.access_key_id, one.security_token.is_some()), (&again.access_key_id, true));
    assert!(one.is_valid());
    let end = one.expires_in.ok_or("no end")?.as_system_time();
    let left = end.duration_since(SystemTime::now())?;
    assert!((3_590..=3_600).contains(&left.as_secs()), "{left:?}");

    let one = aws.provide_credentials().await?;
    assert_eq!(one.access_key_id(), aws.provide_credentials().await?.access_key_id());
    assert!(one.access_key_id().starts_with("ASIA") && one.session_token().is_some());
    let left = one.expiry().ok_or("no end")?.duration_since(SystemTime::now())?;
    assert!((3_590..=3_600).contains(&left.as_secs()), "{left:?}");
    assert_eq!(world.api.issued(), 2);
    Ok(())
}

#[tokio::test]
async fn a_role_of_another_cloud_is_a_fault_of_the_configuration() -> Outcome {
    let world = World::new().await?;
    let error = world.oss(IAM_ROLE)?.provide_credential(&Context::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::ConfigInvalid, false));
    assert!(error.to_string().contains("is no role of Alibaba Cloud"), "{error}");
    let error = world.aws(RAM_ROLE)?.provide_credentials().await.unwrap_err();
    assert!(matches!(error, CredentialsError::InvalidConfiguration(_)), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_distinguished_from_trouble_that_passes() -> Outcome {
    let world = World::new().await?;
    let absent = "acs:ram::1234567890123456:role/absent";
    let error = world.oss(absent)?.provide_credential(&Context::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::PermissionDenied, false));
    assert!(error.to_string().contains("check that IDaaS knows role"), "{error}");
    let error = world.aws(absent)?.provide_credentials().await.unwrap_err();
    assert!(matches!(error, CredentialsError::ProviderError(_)), "{error:?}");
    assert!(format!("{error:?}").contains("check that IDaaS knows role"), "{error:?}");

    world.api.set_behaviour(Behaviour::status(StatusCode::SERVICE_UNAVAILABLE));
    let error = world.oss(RAM_ROLE)?.provide_credential(&Context::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unexpected, true));
    Ok(())
}

/// Signs a GET of the object, and says how the storage took it.
async fn read(signer: &Signer<reqsign_aliyun_oss::Credential>, uri: String) -> Result<String, BoxError> {
    let (mut head, body) = Request::get(uri).body(http_body_util::Empty::<bytes::Bytes>::new())?.into_parts();
    signer.sign(&mut head, None).await?;
    let executor = hyper_util::rt::TokioExecutor::new();
    let client = hyper_util::client::legacy::Client::builder(executor).build_http();
    let response = client.request(Request::from_parts(head, body)).await?;
    let body = http_body_util::BodyExt::collect(response.into_body()).await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn a_key_that_the_storage_rejects_is_replaced_after_it_is_reported() -> Outcome {
    let world = World::new().await?;
    world.storage.put("b", "a name/ü", "seven");
    let uri = format!("{}/b/a%20name/%C3%BC", world.storage.endpoint());
    let role = world.idaas.cloud_role(RAM_ROLE)?;
    let signer = || {
        let oss = RequestSigner::new("b").with_region(ObjectStorage::REGION);
        let oss = oss.with_signing_version(SigningVersion::V4);
        Signer::new(Context::new(), OssCredentials::from(role.clone()), oss)
    };
    assert_eq!(read(&signer(), uri.clone()).await?, "seven");
    let old = role.credentials().await?;
    world.storage.revoke(old.alibaba_cloud().ok_or("another cloud")?.access_key_id());
    assert!(read(&signer(), uri.clone()).await?.contains("InvalidAccessKeyId"));
    role.invalidate(&old);
    assert_eq!(read(&signer(), uri).await?, "seven");
    assert_eq!((world.api.issued(), world.storage.objects_read()), (2, 2));
    Ok(())
}

#[tokio::test]
async fn no_debug_shows_a_secret() -> Outcome {
    let world = World::new().await?;
    let oss = world.oss(RAM_ROLE)?;
    let credential = oss.provide_credential(&Context::new()).await?.ok_or("nothing")?;
    let aws = world.aws(IAM_ROLE)?;
    let credentials = aws.provide_credentials().await?;
    let shown = format!("{oss:?} {aws:?} {:?}", world.storage);
    let secrets = [
        credential.access_key_secret.as_str(),
        credential.security_token.as_deref().ok_or("no token")?,
        credentials.secret_access_key(),
        credentials.session_token().ok_or("no token")?,
    ];
    assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{shown}");
    assert!(shown.contains("reader"));
    Ok(())
}
