//! Where else a program may run: Azure, Google Cloud, a job of GitHub Actions.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower_idaas::authn::{Authenticator, AzureIdentity, GithubActionsIdentity, GoogleCloudIdentity};

use super::*;

/// A service that has the same response to everything, and notes the request.
struct Service {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Service {
    async fn start(status: &'static str, body: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                noted.lock().unwrap().push(String::from_utf8(head).unwrap());
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        Self { address, heads }
    }

    fn request(&self) -> String {
        self.heads.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

const NAME: &str = TestIdaas::FEDERATED_CREDENTIAL;

fn token(fixture: &Fixture) -> String {
    fixture.idaas.service_account_token().issue().unwrap()
}

#[tokio::test]
async fn azure_gives_its_attested_document_as_json() {
    let fixture = Fixture::new().await;
    let document = ec2_document(&fixture).await;
    let service =
        Service::start("200 OK", json!({ "encoding": "pkcs7", "signature": document }).to_string()).await;
    let client = |service: &Service| {
        let method = Pkcs7::azure(NAME).metadata_address(&service.address);
        fixture.builder(ClientAuthentication::SecretPost).authenticator(method).build().unwrap()
    };
    client(&service).token().await.unwrap();
    let request = service.request();
    assert!(
        request.starts_with("GET /metadata/attested/document?api-version=2020-09-01 HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.contains("\r\nmetadata: true\r\n"), "{request}");
    for body in
        ["", "[]", "{}", r#"{"encoding":"jws","signature":"TUlJ"}"#, r#"{"encoding":"pkcs7","signature":5}"#]
    {
        let service = Service::start("200 OK", body.to_owned()).await;
        let error = client(&service).token().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{body}: {error}");
        assert!(error.to_string().contains("the Azure metadata service at http://127.0.0.1"), "{error}");
    }
    let service = Service::start("404 Not Found", String::new()).await;
    let error = client(&service).token().await.unwrap_err().to_string();
    assert!(error.contains("404") && error.contains("on an Azure virtual machine only"), "{error}");
}

#[tokio::test]
async fn google_gives_an_identity_token_in_code_and_by_the_file() {
    let fixture = Fixture::new().await;
    let service = Service::start("200 OK", format!("{}\n", token(&fixture))).await;
    let source = GoogleCloudIdentity::new().audience("a b").metadata_address(&service.address);
    let in_code =
        fixture.builder(ClientAuthentication::SecretPost).authenticator(Oidc::from_source(NAME, source));
    in_code.build().unwrap().token().await.unwrap();
    let path = "/computeMetadata/v1/instance/service-accounts/default/identity";
    let request = service.request();
    assert!(request.starts_with(&format!("GET {path}?audience=a%20b&format=full HTTP/1.1\r\n")), "{request}");
    assert!(request.contains("\r\nmetadata-flavor: Google\r\n"), "{request}");

    let text = fixture.idaas.client_config(ClientAuthentication::Oidc);
    assert!(text.contains("KUBERNETES"));
    let by_file = Idaas::builder().config_text(text.replace("KUBERNETES", "GOOGLE_VM"));
    fixture.with_clock(by_file).metadata_address(&service.address).build().unwrap().token().await.unwrap();
    assert!(
        service.request().contains("?audience=alibaba-cloud-idaas-v2&format=full"),
        "{}",
        service.request()
    );
}

#[tokio::test]
async fn azure_gives_the_token_of_a_managed_identity() {
    let fixture = Fixture::new().await;
    let body = json!({ "access_token": token(&fixture), "expires_in": "3599", "token_type": "Bearer" });
    let service = Service::start("200 OK", body.to_string()).await;
    let source = AzureIdentity::new("api://idaas").client_id("id 1").metadata_address(&service.address);
    let client =
        fixture.builder(ClientAuthentication::SecretPost).authenticator(Oidc::from_source(NAME, source));
    client.build().unwrap().token().await.unwrap();
    let target =
        "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=api%3A%2F%2Fidaas&client_id=id%201";
    let request = service.request();
    assert!(request.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{request}");
    assert!(request.contains("\r\nmetadata: true\r\n"), "{request}");
}

#[tokio::test]
async fn github_gives_the_token_of_a_job_by_the_variables_of_the_job() {
    let fixture = Fixture::new().await;
    let service = Service::start("200 OK", json!({ "count": 1, "value": token(&fixture) }).to_string()).await;
    let client = |url: &str, token: &str| {
        let environment = fixture.idaas.environment();
        environment.set("ACTIONS_ID_TOKEN_REQUEST_URL", url);
        environment.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", token);
        let method = Oidc::from_source(NAME, GithubActionsIdentity::new());
        let builder = fixture.builder(ClientAuthentication::SecretPost).authenticator(method);
        builder.environment(environment).build()
    };
    client(&format!("{}/token?api-version=2", service.address), "job-marker").unwrap().token().await.unwrap();
    let request = service.request();
    let line = "GET /token?api-version=2&audience=alibaba-cloud-idaas-v2 HTTP/1.1\r\n";
    assert!(
        request.starts_with(line) && request.contains("\r\nauthorization: Bearer job-marker\r\n"),
        "{request}"
    );

    for (url, token, key) in [
        ("", "t", "ACTIONS_ID_TOKEN_REQUEST_URL"),
        ("http://actions.example.com/", "t", "ACTIONS_ID_TOKEN_REQUEST_URL"),
        ("https://actions.example.com:99999/", "t", "ACTIONS_ID_TOKEN_REQUEST_URL"),
        ("https://actions.example.com/", "", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
        ("https://actions.example.com/", "job-marker\u{1}", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
    ] {
        let error = client(url, token).unwrap_err();
        assert_eq!(error.faults()[0].key(), key, "{error}");
        assert!(!format!("{error:?}").contains("job-marker"), "{error:?}");
    }
    let refusing = Service::start("403 Forbidden", r#"{"message":"job-marker"}"#.to_owned()).await;
    let error = client(&refusing.address, "job-marker").unwrap().token().await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Refused, Some(StatusCode::FORBIDDEN)), "{error}");
    assert!(!format!("{error:?}").contains("job-marker"), "{error:?}");
}

#[tokio::test]
async fn each_platform_proves_who_runs_on_it_and_for_another_audience_it_does_not() {
    const OURS: &str = "alibaba-cloud-idaas-v2";
    let fixture = Fixture::new().await;
    let metadata = fixture.idaas.start_metadata_service().await.unwrap();
    let job = fixture.idaas.start_github_actions().await.unwrap();
    let environment = fixture.idaas.environment();
    job.set_variables(&environment);
    let address = metadata.address();
    let google = |audience: &str| GoogleCloudIdentity::new().audience(audience).metadata_address(&address);
    let azure = |audience: &str| AzureIdentity::new(audience).client_id("id-1").metadata_address(&address);
    let github = |audience: &str| GithubActionsIdentity::new().audience(audience);
    let methods = |audience: &str| -> [Box<dyn Authenticator>; 3] {
        [
            Box::new(Oidc::from_source(NAME, google(audience))),
            Box::new(Oidc::from_source(NAME, azure(audience))),
            Box::new(Oidc::from_source(NAME, github(audience))),
        ]
    };
    let client = |method: Box<dyn Authenticator>| {
        let builder = fixture.builder(ClientAuthentication::SecretPost).authenticator(method);
        builder.environment(environment.clone()).build().unwrap()
    };
    for method in methods(OURS) {
        client(method).token().await.unwrap();
    }
    client(Box::new(Pkcs7::azure(NAME).metadata_address(&address))).token().await.unwrap();
    for method in methods("another") {
        let error = client(method).token().await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("invalid_client")), "{error}");
    }
    assert_eq!(fixture.idaas.tokens_issued(), 4);
}

#[tokio::test]
async fn a_documents_life_is_settable_within_the_vendors_bounds() {
    let fixture = Fixture::new().await;
    let metadata = fixture.idaas.start_metadata_service().await.unwrap();
    let config = || fixture.builder(ClientAuthentication::SecretPost);
    let faults =
        |method: Pkcs7| config().authenticator(method).build().map(drop).map_err(|error| error.to_string());
    let ecs = || Pkcs7::alibaba_cloud_ecs(NAME).metadata_address(metadata.address());
    for seconds in [1_201, 3_600, 1_314_000] {
        faults(ecs().document_life(Duration::from_secs(seconds))).unwrap();
    }
    for (method, problem) in [
        (ecs().document_life(Duration::from_secs(1_200)), "expected 1201 to 1314000 seconds"),
        (ecs().document_life(Duration::from_secs(1_314_001)), "expected 1201 to 1314000 seconds"),
        (Pkcs7::aws_ec2(NAME).document_life(2 * MINUTE), "are used once"),
    ] {
        let error = faults(method).unwrap_err();
        assert!(error.contains("`document_life`") && error.contains(problem), "{error}");
    }
    // Five sixths of half an hour are 25 minutes.
    let method = ecs().document_life(30 * MINUTE);
    let idaas = config().authenticator(method).build().unwrap();
    let scope = |name: &str| format!("api://{name}|read").parse::<Scope>().unwrap();
    for (minutes, documents) in [(0, 1), (24, 1), (2, 2)] {
        fixture.clock.advance(minutes * MINUTE);
        idaas.token_for(&scope(&format!("a{minutes}"))).await.unwrap();
        let request =
            metadata.requests().iter().filter(|request| request.uri.path().ends_with("/pkcs7")).count();
        assert_eq!(request, documents, "after {minutes} more minutes");
    }
}
