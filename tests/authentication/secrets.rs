//! No secret and no token in any log line, at any level, of this crate or of what it is built on, nor in
//! anything that can be printed.

use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::log::{Log, forms};
use crate::support::proxy::Proxy;
use crate::support::raw::{Manner, RawServer};
use crate::support::{builder_without_secret, chain};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Empty;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_idaas::authn::{Authenticator, TokenRequest};
use tower_idaas::authn::{ClientSecretBasic, ClientSecretPost};
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{BoxFuture, Error, Idaas, SecretSource};
use tower_idaas_testing::{Behaviour, ClientAuthentication, TestIdaas};

/// Every form encoding and base64 of it differs from it.
const SECRET: &str = "S3CRETmarker+/=%& \u{e9}~x";
const CLIENT: &str = "app_1";
const HOST: &str = "idaas.example.test";

/// The secret by itself, its beginning, and as either form of HTTP Basic carries it.
fn secrets() -> Vec<String> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    [
        SECRET.to_owned(),
        "S3CRETmarker".to_owned(),
        format!("{CLIENT}:{SECRET}"),
        format!("{}:{}", encode(CLIENT), encode(SECRET)),
        "pr0xyPassword".to_owned(),
        "user:pr0xyPassword".to_owned(),
    ]
    .iter()
    .flat_map(|secret| forms(secret))
    .collect()
}

fn assert_hidden(shown: &str, tokens: &[String], what: &str) {
    for hidden in secrets().into_iter().chain(tokens.iter().flat_map(|token| forms(token))) {
        if let Some(at) = shown.find(&hidden) {
            let start = shown[..at].rfind('\n').map_or(0, |end| end + 1);
            let line: String = shown[start..].lines().next().unwrap_or_default().chars().take(400).collect();
            panic!("{what} shows `{hidden}`: {line}");
        }
    }
}

/// Everything that a value and an error can be printed as.
fn debug(value: &impl Debug) -> String {
    format!("{value:?} {value:#?}\n")
}

fn printed(error: &Error) -> String {
    format!("{error} {error:#} {} {}", chain(error), debug(error))
}

/// One life of a client: what it printed, and the tokens that it got.
struct Life {
    idaas: Idaas,
    shown: String,
    tokens: Vec<String>,
}

impl Life {
    fn new(idaas: Idaas) -> Self {
        Self { shown: debug(&idaas) + &debug(&idaas.layer()), idaas, tokens: Vec::new() }
    }

    /// Gets a token, or fails to, puts it on a request, and prints all there is.
    async fn live(mut self) -> Self {
        match self.idaas.token().await {
            Ok(token) => {
                self.tokens.push(token.expose_token().to_owned());
                self.shown += &debug(&token);
                self.shown += &debug(&token.expose_authorization().unwrap());
            }
            Err(error) => self.shown += &printed(&error),
        }
        let echo = service_fn(|request: Request<Empty<bytes::Bytes>>| async move {
            tracing::trace!(?request, "what the inner service would log");
            let mut answer = Response::new(());
            // A 401 invalidates the token, and says so.
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
            Ok::<_, io::Error>(answer)
        });
        let service = ServiceBuilder::new().layer(self.idaas.layer()).service(echo);
        self.shown += &debug(&service);
        let request = Request::get("https://api.example.test/").body(Empty::new()).unwrap();
        if let Err(error) = service.oneshot(request).await {
            self.shown += &format!("{error} {error:?} {error:#?}");
        }
        self.shown += &debug(&self.idaas);
        self
    }
}

async fn issuer() -> TestIdaas {
    TestIdaas::builder().client(CLIENT, SECRET).host_name(HOST).start().await.unwrap()
}

/// A client from a file, with the secret in a variable.
fn client(issuer: &TestIdaas, method: ClientAuthentication, raw: bool, limit: Duration) -> Idaas {
    let folder = tempfile::tempdir().unwrap();
    let path = issuer.write_config(folder.path(), method).unwrap();
    let builder = Idaas::builder()
        .config_file(path)
        .root_certificate(issuer.root_certificate_pem())
        .environment(issuer.environment())
        .connect_timeout(limit)
        .read_timeout(limit);
    assert_hidden(&debug(&builder), &[], "IdaasBuilder");
    let secret = SecretSource::variable(TestIdaas::SECRET_VARIABLE);
    let builder = match raw {
        true => builder.authenticator(ClientSecretBasic::new(secret).raw_credentials()),
        false => builder,
    };
    builder.build().unwrap()
}

const METHODS: [(ClientAuthentication, bool); 3] = [
    (ClientAuthentication::SecretPost, false),
    (ClientAuthentication::SecretBasic, false),
    (ClientAuthentication::SecretBasic, true),
];

#[tokio::test]
async fn no_life_shows_a_secret_or_a_token() {
    let log = Log::start();
    let mut lives = tokio::task::JoinSet::new();
    for (method, raw) in METHODS {
        let behaviours = [
            Behaviour::Normal,
            Behaviour::Echo,
            Behaviour::code(StatusCode::UNAUTHORIZED, "invalid_client"),
            Behaviour::response(StatusCode::BAD_GATEWAY, "text/html", "<html>no</html>"),
            Behaviour::Slow(Duration::from_secs(60)),
            Behaviour::CutMidBody,
            Behaviour::HangHandshake,
            Behaviour::change(|answer| drop(answer.insert("token_type".into(), "mac".into()))),
            Behaviour::change(|answer| drop(answer.insert("expires_in".into(), 0.into()))),
            Behaviour::change(|answer| {
                // A token that no header can hold is not shown either.
                answer.insert("access_token".into(), format!("{SECRET}\r\n").into());
            }),
        ];
        for (index, behaviour) in behaviours.into_iter().enumerate() {
            // The time-outs themselves, where nothing else ends the wait.
            let limit = match behaviour {
                Behaviour::Slow(_) | Behaviour::HangHandshake => Duration::from_millis(300),
                _ => Duration::from_secs(30),
            };
            lives.spawn(async move {
                let issuer = issuer().await;
                issuer.set_behaviour(behaviour);
                let life = Life::new(client(&issuer, method, raw, limit)).live();
                let within = tokio::time::timeout(Duration::from_secs(60), life).await;
                within.unwrap_or_else(|_| panic!("{method:?} with behaviour {index} hangs"))
            });
        }
    }
    let lives = lives.join_all().await;
    let tokens: Vec<String> = lives.iter().flat_map(|life| life.tokens.iter().cloned()).collect();
    assert_eq!(tokens.len(), 6, "the lives that were to succeed");
    for life in &lives {
        assert_hidden(&life.shown, &life.tokens, "what can be printed");
    }

    // The log is complete: our own lines, and those of the libraries below.
    let log = log.text();
    let ours = ["token fetched", "token not fetched", "what the inner service would log"];
    for line in ours.into_iter().chain(["hyper_util::", "rustls::"]) {
        assert!(log.contains(line), "no `{line}` in the log");
    }
    assert_hidden(&log, &tokens, "the log");
}

#[tokio::test]
async fn a_server_that_responds_with_our_request_as_no_http_shows_nothing_of_it() {
    let log = Log::start();
    for answer in [
        "$",
        "HTTP/1.1 $\r\n\r\n",
        "HTTP/1.1 200 $\u{1}\r\n\r\n",
        "$ 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\n$\r\n\r\n",
        "HTTP/1.1 200 OK\r\n$: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: $\u{1}\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: $\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: $\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n$\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;$\r\n{}\r\n0\r\n$\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: $\r\nContent-Type: $\r\n\r\n$",
        "HTTP/1.1 103 $\r\nLink: $\r\n\r\n$",
        "HTTP/1.1 101 $\r\nUpgrade: $\r\n\r\n$",
    ] {
        let server = RawServer::start(Manner::Echoes(answer)).await;
        let idaas = Idaas::builder()
            .instance_id("idaas_1")
            .client_id(CLIENT)
            .issuer("https://issuer.example")
            .token_endpoint(format!("http://127.0.0.1:{}/token", server.port()))
            .scope("api://x|read")
            .authenticator(ClientSecretPost::new(SecretSource::value(SECRET.to_owned())))
            .environment(ManualEnvironment::new())
            .build()
            .unwrap();
        let life = Life::new(idaas).live().await;
        assert_eq!(life.tokens.len(), 0, "{answer:?}");
        assert_hidden(&life.shown, &[], answer);
    }
    assert_hidden(&log.text(), &[], "the log");
}

#[tokio::test]
async fn a_proxys_password_is_not_shown_either() {
    let log = Log::start();
    let issuer = issuer().await;
    let port = issuer.token_endpoint().split([':', '/']).nth(4).unwrap().parse().unwrap();
    let mut shown = String::new();
    let mut tokens = Vec::new();
    for status in ["200 OK", "407 Proxy Authentication Required", "403 Forbidden"] {
        let proxy = Proxy::start(status, port).await;
        let environment =
            ManualEnvironment::from_iter([("HTTPS_PROXY", proxy.url_with("user", "pr0xyPassword"))]);
        let builder = builder_without_secret(&issuer)
            .token_endpoint(issuer.token_endpoint().replace("localhost", HOST))
            .authenticator(ClientSecretBasic::new(SecretSource::value(SECRET.to_owned())))
            .environment(environment);
        shown += &debug(&builder);
        let life = Life::new(builder.build().unwrap()).live().await;
        shown += &life.shown;
        tokens.extend(life.tokens);
        assert!(proxy.tunnels()[0].authorization.is_some());
    }
    assert_eq!(tokens.len(), 1);
    assert_hidden(&shown, &tokens, "what can be printed");
    assert_hidden(&log.text(), &tokens, "the log");

    for bad in [
        "socks4://user:pr0xyPassword@proxy",
        "http://user:p@pr0xyPassword@proxy:3128",
        "http://user:pr0xyPassword/b@proxy:3128",
        "http://user:pr0xyPassword#b@proxy:3128",
        "http://user:pr0xyPassword?b@proxy:3128",
        "http://user:pr0xyPassword",
    ] {
        let error = builder_without_secret(&issuer)
            .token_endpoint(issuer.token_endpoint().replace("localhost", HOST))
            .authenticator(ClientSecretPost::new(SecretSource::value(SECRET.to_owned())))
            .environment(ManualEnvironment::from_iter([("HTTPS_PROXY", bad)]))
            .build()
            .unwrap_err();
        let shown = format!("{error} {error:#} {error:?} {error:#?} {}", chain(&error));
        assert_hidden(&shown, &[], "ConfigError");
    }
}

#[tokio::test]
async fn a_token_request_and_the_source_of_a_secret_do_not_show_it() {
    /// Prints the request while it holds everything.
    #[derive(Debug)]
    struct Printing(SecretSource, Arc<Mutex<String>>);

    impl Authenticator for Printing {
        fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
            Box::pin(async move {
                let secret = request.read_secret(&self.0).await?;
                let header = HeaderValue::try_from(format!("Own {}", STANDARD.encode(SECRET))).unwrap();
                let seen = debug(&secret) + &debug(&self.0);
                request.add_field("own_secret", secret);
                request.set_authorization(header);
                self.1.lock().unwrap().push_str(&(seen + &debug(request)));
                Ok(())
            })
        }
    }

    let log = Log::start();
    let issuer = issuer().await;
    issuer.set_behaviour(Behaviour::Echo);
    let seen = Arc::<Mutex<String>>::default();
    let own = Printing(SecretSource::value(SECRET.to_owned()), Arc::clone(&seen));
    // The endpoint's query may hold anything.
    let endpoint = issuer.token_endpoint() + "?key=S3CRETmarker";
    let builder = builder_without_secret(&issuer).token_endpoint(endpoint).authenticator(own);
    let life = Life::new(builder.build().unwrap()).live().await;
    let seen = seen.lock().unwrap().clone();
    assert!(seen.contains("own_secret"), "{seen}");
    assert!(life.shown.contains("[redacted]"), "{}", life.shown);
    assert_hidden(&(seen + &life.shown), &[], "what can be printed");
    assert_hidden(&log.text(), &[], "the log");
}

#[test]
fn a_configuration_with_the_secret_in_the_wrong_place_does_not_show_it() {
    let log = Log::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client-config.json");
    for config in [
        // The secret where its variable's name belongs, under an unknown key, as a method, in a broken file.
        format!(
            r#"{{"authnConfiguration":{{"authnMethod":"CLIENT_SECRET_POST","clientSecretEnvVarName":"{SECRET}"}}}}"#
        ),
        format!(r#"{{"clientSecret":"{SECRET}","authnConfiguration":{{"clientSecret":"{SECRET}"}}}}"#),
        format!(r#"{{"authnConfiguration":"{SECRET}","httpConfiguration":["{SECRET}"],"clientId":"app"}}"#),
        format!(r#"{{"clientId":"{SECRET}" "{SECRET}""#),
        format!(r#"{{"tokenEndpoint":"https://u:{SECRET}@host/","issuer":"https://u:{SECRET}@host/"}}"#),
        format!(r#"["{SECRET}"]"#),
    ]
    .into_iter()
    .chain(["authnMethod", "identityType", "clientDeployEnvironment", "pluginName", "scope"].into_iter().flat_map(misplaced))
    {
        std::fs::write(&path, &config).unwrap();
        let builder = Idaas::builder().config_file(&path).environment(ManualEnvironment::new());
        let error = builder.build().unwrap_err();
        let shown = format!("{error} {error:#} {error:?} {error:#?} {}", chain(&error));
        assert_hidden(&shown, &[], &config);
    }
    assert_hidden(&log.text(), &[], "the log");
}

/// The secret as the value of this key, beside what each method needs; as it is, and its plain beginning.
fn misplaced(key: &str) -> Vec<String> {
    let methods = ["CLIENT_SECRET_POST", "OIDC", "PKCS7", "PLUGIN"];
    let of = |method: &str, secret: &str| {
        let mut authn = serde_json::json!({ "authnMethod": method });
        authn[key] = secret.into();
        serde_json::json!({ "clientId": CLIENT, "scope": secret, "authnConfiguration": authn }).to_string()
    };
    let secrets = [SECRET, "S3CRETmarker", "S3CRETmarkerS3CRETmarkerS3CRETmarkerS3CRETmarker"];
    methods.into_iter().flat_map(|method| secrets.map(|secret| of(method, secret))).collect()
}

#[test]
fn whatever_the_form_it_would_be_found() {
    let token = ["a.signed.token".to_owned()];
    for form in secrets().into_iter().chain(forms(&token[0])) {
        let shown = format!("TRACE hyper: sent\nTRACE hyper: {form}\n");
        let found = std::panic::catch_unwind(|| assert_hidden(&shown, &token, "the log"));
        assert!(found.is_err(), "{form}");
    }
    assert_hidden("TRACE hyper: flushed 300 bytes", &token, "the log");
}
