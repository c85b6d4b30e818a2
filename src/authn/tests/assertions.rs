//! The fields and headers that the methods add to a request.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use crate::authn::tests::*;
use crate::error::{BoxFuture, Error, ErrorKind};
use crate::secret::SecretSource;

const LEAF: &str = golden!("pca_leaf_ec_p256.cert.pem");
const CHAIN: &str = golden!("pca_intermediate.cert.pem");
const KEY: &str = golden!("ec_p256.pkcs8.pem");

fn authenticate(authenticator: &dyn Authenticator, environment: &Environment) -> Result<TokenRequest, Error> {
    let mut request = request(environment);
    tokio_test::block_on(authenticator.authenticate(&mut request))?;
    Ok(request)
}

fn form(request: TokenRequest) -> Vec<(String, String)> {
    use http_body_util::BodyExt;
    let body = tokio_test::block_on(request.into_http().into_body().collect()).unwrap().to_bytes();
    form_urlencoded::parse(&body).into_owned().collect()
}

fn field(form: &[(String, String)], name: &str) -> String {
    form.iter().find(|(known, _)| known == name).unwrap().1.clone()
}

fn part(assertion: &str, place: usize) -> Value {
    serde_json::from_slice(&BASE64.decode(assertion.split('.').nth(place).unwrap()).unwrap()).unwrap()
}

fn of_variable() -> PrivateKeyJwt {
    PrivateKeyJwt::new(SecretSource::variable("K"))
}

fn pca(certificates: SecretSource) -> Pca {
    Pca::new("credential", certificates, SecretSource::variable("K"))
}

#[test]
fn an_assertion_says_who_to_whom_and_for_how_long_and_no_two_are_alike() {
    let variables = environment(&[("K", KEY), ("S", "s3cret")]);
    let by_secret = ClientSecretJwt::new(SecretSource::variable("S"));
    let mut ids = Vec::new();
    for (authenticator, algorithm) in [
        (&by_secret as &dyn Authenticator, "HS256"),
        (&by_secret, "HS256"),
        (&of_variable(), "ES256"),
        (&of_variable(), "ES256"),
    ] {
        let request = authenticate(authenticator, &variables).unwrap();
        let now = request.issued_at().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let form = form(request);
        assert_eq!(
            field(&form, "client_assertion_type"),
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        );
        let assertion = field(&form, "client_assertion");
        assert_eq!(part(&assertion, 0), json!({ "alg": algorithm, "typ": "JWT" }));
        let claims = part(&assertion, 1);
        let id = claims["jti"].as_str().unwrap().to_owned();
        assert_eq!(
            claims,
            json!({
                "iss": "app_test", "sub": "app_test", "aud": ENDPOINT, "jti": id,
                "iat": now, "exp": now + 300,
            })
        );
        assert!(id.len() == 36 && id.as_bytes()[14] == b'4' && b"89ab".contains(&id.as_bytes()[19]), "{id}");
        ids.push(id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[test]
fn a_key_that_is_replaced_is_used_at_once_and_one_that_stays_is_parsed_once() {
    let variables = ManualEnvironment::from_iter([("K", KEY)]);
    let environment = Environment::Manual(variables.clone());
    let authenticator = of_variable();
    let algorithm = || -> Result<String, Error> {
        let form = form(authenticate(&authenticator, &environment)?);
        Ok(part(&field(&form, "client_assertion"), 0)["alg"].as_str().unwrap().to_owned())
    };
    assert_eq!(algorithm().unwrap(), "ES256");
    variables.set("K", golden!("ec_p521.sec1.pem"));
    assert_eq!(algorithm().unwrap(), "ES512");
    variables.set("K", "garbage");
    let error = algorithm().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credential);
    assert!(error.to_string().starts_with("environment variable K holds no private key; "), "{error}");
    variables.remove("K");
    assert!(algorithm().unwrap_err().to_string().contains("environment variable K is not set"));
    variables.set("K", golden!("rsa2048.pkcs1.pem"));
    assert_eq!(algorithm().unwrap(), "RS256");
}

#[test]
fn a_chosen_algorithm_is_used_or_refused() {
    let authenticator = of_variable().algorithm(SigningAlgorithm::Rs512);
    let rsa = environment(&[("K", golden!("rsa2048.pkcs8.pem"))]);
    let form = form(authenticate(&authenticator, &rsa).unwrap());
    assert_eq!(part(&field(&form, "client_assertion"), 0)["alg"], "RS512");
    let error = authenticate(&authenticator, &environment(&[("K", KEY)])).unwrap_err();
    assert!(error.to_string().contains("holds an EC key on P-256, which cannot sign with RS512"), "{error}");
}

#[derive(Debug)]
struct Own(usize);

impl AssertionSigner for Own {
    fn algorithm(&self) -> SigningAlgorithm {
        SigningAlgorithm::Es384
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
        assert_eq!(message.split(|byte| *byte == b'.').count(), 2);
        Box::pin(async {
            if self.0 == 0 { Err(Error::new(ErrorKind::Connect, "gone")) } else { Ok(vec![7; self.0]) }
        })
    }
}

#[test]
fn a_signer_of_ones_own_signs_and_its_faults_are_reported() {
    let sign = |length| authenticate(&PrivateKeyJwt::new(Own(length)), &environment(&[]));
    let assertion = field(&form(sign(96).unwrap()), "client_assertion");
    assert_eq!(part(&assertion, 0)["alg"], "ES384");
    assert_eq!(BASE64.decode(assertion.rsplit('.').next().unwrap()).unwrap(), [7; 96]);
    assert_eq!(sign(0).unwrap_err().kind(), ErrorKind::Connect);
    let error = sign(102).unwrap_err().to_string();
    assert!(error.contains("of 102 bytes; expected r and s in 96 bytes"), "{error}");
}

#[test]
fn certificates_go_with_the_assertion_however_they_were_written() {
    let leaf = LEAF.trim_end();
    let both = format!("{leaf}\n{}", CHAIN.trim_end());
    for text in [both.clone(), both.replace('\n', "\\n"), both.replace('\n', "\r\n"), format!("\n{both}\n")] {
        let variables = environment(&[("K", KEY), ("C", &text)]);
        let form = form(authenticate(&pca(SecretSource::variable("C")), &variables).unwrap());
        assert_eq!(field(&form, "application_federated_credential_name"), "credential");
        assert_eq!(
            field(&form, "client_assertion_type"),
            "urn:cloud:idaas:params:oauth:client-assertion-type:x509-jwt-bearer"
        );
        assert_eq!(field(&form, "client_x509"), leaf);
        assert_eq!(field(&form, "client_x509_chain"), CHAIN.trim_end());
        assert_eq!(part(&field(&form, "client_assertion"), 0)["alg"], "ES256");
    }
    let alone = environment(&[("K", KEY), ("C", LEAF)]);
    let form = form(authenticate(&pca(SecretSource::variable("C")), &alone).unwrap());
    assert!(form.iter().all(|(name, _)| name != "client_x509_chain"));
}

#[test]
fn a_certificate_of_another_key_is_not_sent() {
    for source in [SecretSource::variable("C"), SecretSource::value(LEAF.to_owned())] {
        let variables = environment(&[("K", golden!("ec_p256.pkcs8.pem")), ("C", LEAF)]);
        let pca = pca(source);
        authenticate(&pca, &variables).unwrap();
        let variables = environment(&[("K", golden!("rsa2048.pkcs8.pem")), ("C", LEAF)]);
        let error = authenticate(&pca, &variables).unwrap_err().to_string();
        assert!(error.starts_with("the private key in environment variable K does not match"), "{error}");
    }
}

#[test]
fn a_chain_of_its_own_is_sent_behind_the_certificates_and_is_read_again() {
    let variables = ManualEnvironment::from_iter([("K", KEY), ("C", LEAF), ("I", CHAIN)]);
    let environment = Environment::Manual(variables.clone());
    let pca = pca(SecretSource::variable("C")).certificate_chain(SecretSource::variable("I"));
    let form_now = form(authenticate(&pca, &environment).unwrap());
    assert_eq!(field(&form_now, "client_x509_chain"), CHAIN.trim_end());
    variables.set("I", format!("{CHAIN}{CHAIN}"));
    let form_later = form(authenticate(&pca, &environment).unwrap());
    assert_eq!(
        field(&form_later, "client_x509_chain"),
        format!("{}\n{}", CHAIN.trim_end(), CHAIN.trim_end())
    );
    variables.set("I", "none");
    let error = authenticate(&pca, &environment).unwrap_err().to_string();
    assert!(error.starts_with("environment variable I holds no certificate"), "{error}");
}

#[test]
fn a_key_id_is_named_if_there_is_one_and_that_of_the_method_wins() {
    #[derive(Debug)]
    struct Named;

    impl AssertionSigner for Named {
        fn algorithm(&self) -> SigningAlgorithm {
            SigningAlgorithm::Es256
        }

        fn sign<'a>(&'a self, _: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
            Box::pin(async { Ok(vec![7; 64]) })
        }

        fn key_id(&self) -> Option<&str> {
            Some("of-signer")
        }
    }

    let variables = environment(&[("K", KEY), ("C", LEAF)]);
    let header = |method: &dyn Authenticator| {
        part(&field(&form(authenticate(method, &variables).unwrap()), "client_assertion"), 0)
    };
    let expected = |id: &str| json!({ "alg": "ES256", "typ": "JWT", "kid": id });
    assert_eq!(header(&of_variable()), json!({ "alg": "ES256", "typ": "JWT" }));
    assert_eq!(header(&of_variable().key_id("2026-11")), expected("2026-11"));
    assert_eq!(header(&pca(SecretSource::variable("C")).key_id("a \"b\"")), expected("a \"b\""));
    assert_eq!(header(&PrivateKeyJwt::new(Named)), expected("of-signer"));
    assert_eq!(header(&PrivateKeyJwt::new(Named).key_id("of-method")), expected("of-method"));
}

#[test]
fn a_function_does_for_a_signer_and_for_a_method() {
    let signer = assertion_signer_fn(SigningAlgorithm::Es384, |message: Vec<u8>| async move {
        assert_eq!(message.split(|byte| *byte == b'.').count(), 2);
        Ok(vec![7; 96])
    });
    let shared: Arc<dyn AssertionSigner> = Arc::new(signer);
    let assertion = field(
        &form(authenticate(&PrivateKeyJwt::new(shared), &environment(&[])).unwrap()),
        "client_assertion",
    );
    assert_eq!(part(&assertion, 0)["alg"], "ES384");

    let method = authenticator_fn(|mut request: TokenRequest| async move {
        let key = request.read_secret(&SecretSource::variable("API_KEY")).await?;
        request.add_field("api_key", key);
        Ok(request)
    });
    let boxed: Box<dyn Authenticator> = Box::new(method);
    let request = authenticate(&boxed, &environment(&[("API_KEY", "hunter2")])).unwrap();
    assert!(!format!("{request:?} {boxed:?}").contains("hunter2"));
    assert_eq!(field(&form(request), "api_key"), "hunter2");
    assert!(authenticate(&boxed, &environment(&[])).unwrap_err().to_string().contains("API_KEY is not set"));
}

#[test]
fn only_a_method_that_is_built_in_has_the_vendors_name() {
    #[derive(Debug)]
    struct Wrapped(ClientSecretPost);

    impl Authenticator for Wrapped {
        fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
            self.0.authenticate(request)
        }
    }

    let post = || ClientSecretPost::new(SecretSource::variable("S"));
    let shared: Arc<dyn Authenticator> = Arc::new(post());
    assert_eq!(vendor_name(&post()), Some("CLIENT_SECRET_POST"));
    assert_eq!(vendor_name(&Box::new(shared)), Some("CLIENT_SECRET_POST"));
    assert_eq!(vendor_name(&Wrapped(post())), None);
}

#[test]
fn only_what_is_bound_to_a_time_is_made_again_when_the_clocks_differ() {
    let variables = environment(&[("K", KEY), ("S", "s3cret")]);
    let secret = || SecretSource::variable("S");
    let reads_the_time = authenticator_fn(|request: TokenRequest| async move {
        let _ = request.issued_at();
        Ok(request)
    });
    for (method, is_bound) in [
        (&ClientSecretPost::new(secret()) as &dyn Authenticator, false),
        (&reads_the_time, false),
        (&ClientSecretJwt::new(secret()), true),
        (&of_variable(), true),
    ] {
        let request = authenticate(method, &variables).unwrap();
        assert_eq!(request.time_in_assertion().is_some(), is_bound, "{method:?}");
    }
}

#[test]
fn neither_key_nor_assertion_is_shown() {
    let source = || SecretSource::value(golden!("rsa2048.pkcs1.pem").to_owned());
    let leaf = SecretSource::value(golden!("pca_leaf_rsa2048.cert.pem").to_owned());
    let pca = Pca::new("credential", leaf, source());
    for authenticator in [
        &ClientSecretJwt::new(SecretSource::value("hunter2".to_owned())) as &dyn Authenticator,
        &PrivateKeyJwt::new(source()),
        &pca,
    ] {
        let request = authenticate(authenticator, &environment(&[])).unwrap();
        let shown = format!("{request:?} {authenticator:?}");
        let secrets = request.secrets();
        let assertion = secrets.last().unwrap().expose_secret().to_owned();
        assert_eq!(assertion.split('.').count(), 3);
        for secret in ["hunter2", &assertion, golden!("rsa2048.pkcs1.pem").lines().nth(2).unwrap()] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn warnings(work: impl FnOnce()) -> Vec<String> {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, work);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    text.lines().filter(|line| line.contains("WARN")).map(str::to_owned).collect()
}

#[test]
fn an_expired_certificate_is_a_warning_at_load_and_at_each_attempt_and_is_sent() {
    let key = || SecretSource::value(golden!("rsa2048.pkcs8.pem").to_owned());
    let expired = || SecretSource::value(golden!("pca_leaf_expired_rsa2048.cert.pem").to_owned());
    let transport = tower::service_fn(|_| async {
        Ok::<_, std::io::Error>(http::Response::new(http_body_util::Empty::<bytes::Bytes>::new()))
    });
    let at_load = warnings(|| {
        let builder =
            crate::Idaas::builder().instance_id("i").client_id("c").scope("a|b").transport(transport);
        let builder = builder.issuer("https://t.example.com").token_endpoint("https://t.example.com/token");
        builder.authenticator(Pca::new("credential", expired(), key())).build().unwrap();
    });
    let pca = Pca::new("credential", expired(), key());
    let at_attempt = warnings(|| drop(authenticate(&pca, &environment(&[])).unwrap()));
    let expected = "the client certificate in the value set in code expired on 2021-01-01; replace it";
    for found in [at_load, at_attempt] {
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }
    let good = SecretSource::value(golden!("pca_leaf_rsa2048.cert.pem").to_owned());
    let pca = Pca::new("credential", good, key());
    assert!(warnings(|| drop(authenticate(&pca, &environment(&[])).unwrap())).is_empty());
}
