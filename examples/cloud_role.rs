//! A lesson, offline: STS credentials of an Alibaba Cloud RAM role, got for a token of IDaaS, from an IDaaS and a
//! DeveloperAPI in this process. It tells what happens and shows no credential.
//!
//! ```console
//! $ cargo run --example cloud_role
//! ```
//!
//! For real credentials, in the formats that the Aliyun CLI, the AWS CLI and shells read, there is
//! `idaas cloud-role ARN` of the crate `tower-idaas-cli`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use tower_idaas::authn::ClientSecretBasic;
use tower_idaas::{BoxError, Idaas, SecretSource, SubjectToken};
use tower_idaas_testing::{CloudVendor, TestIdaas};

const ROLE: &str = "acs:ram::1234567890123456:role/reader";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, BoxError> {
    if std::env::args().nth(1).is_some() {
        eprintln!(
            "this is an offline lesson without arguments; for real credentials run `idaas cloud-role ARN`"
        );
        return Ok(ExitCode::from(2));
    }
    let server = TestIdaas::start().await?;
    let developer_api = server.start_developer_api().await?;
    developer_api.add_role(ROLE, CloudVendor::AlibabaCloud);
    println!(
        "An offline lesson: IDaaS and the DeveloperAPI are in this process, and their credentials open nothing."
    );

    let idaas = Idaas::builder()
        .instance_id(TestIdaas::INSTANCE_ID)
        .client_id(server.client_id())
        .issuer(server.issuer())
        .token_endpoint(server.token_endpoint())
        .developer_api_endpoint(developer_api.endpoint())
        .scope("urn:cloud:idaas:pam|.all")
        .authenticator(ClientSecretBasic::new(SecretSource::value(server.secret())))
        .root_certificate(server.root_certificate_pem())
        .build()?;
    let role = idaas.cloud_role(ROLE)?;

    // The first call gets a token of IDaaS, and for it the credentials.
    let credentials = role.credentials().await?;
    let token = credentials.alibaba_cloud().ok_or("the role is not one of Alibaba Cloud")?;
    println!(
        "The client requested role {ROLE}: {} token was issued, and {} set of credentials.",
        server.tokens_issued(),
        developer_api.issued()
    );
    println!(
        "It has an access key id, a secret and a security token, and lives until {}.",
        humantime::format_rfc3339_seconds(token.expires_at())
    );

    // Further calls are served from the cache, which refreshes them in the background, 15 minutes before they end.
    role.credentials().await?;
    println!("A second call was served from the cache: still {} set of credentials.", developer_api.issued());

    // What the cloud refuses is reported, and the next call gets new ones.
    role.invalidate(&credentials);
    role.credentials().await?;
    println!("After the first set was reported as refused, there are {}.", developer_api.issued());

    // On behalf of a user, whose token came with an inbound request and was verified: IDaaS decides what this user may
    // do, and the credentials are cached apart.
    let user = server.user_token("alice", &"api://front|call".parse()?)?;
    let subject = SubjectToken::access_token(user);
    idaas.cloud_role(ROLE)?.with_subject(subject).credentials().await?;
    println!(
        "With the token of a user, another set was issued for this user alone: {}.",
        developer_api.issued()
    );
    Ok(ExitCode::SUCCESS)
}
