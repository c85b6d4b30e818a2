//! Sources of a user's own: of a closure, behind a pointer, and in front of the configured one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tower_idaas::token::token_source_fn;
use tower_idaas::{
    BoxFuture, ConfigError, ConfigFault, Error, ErrorKind, Idaas, Scope, SubjectToken, Token, TokenResponse,
    TokenSource,
};
use tower_idaas_testing::TestIdaas;

use crate::handles::{Outcome, ScriptedSource, client_of, text};

/// Passes everything on and notes it.
#[derive(Debug)]
struct Noting {
    name: &'static str,
    inner: Arc<dyn TokenSource>,
    notes: Notes,
}

type Notes = Arc<Mutex<Vec<String>>>;

impl Noting {
    fn note(&self, what: &str) {
        self.notes.lock().unwrap().push(format!("{} {what}", self.name));
    }
}

impl TokenSource for Noting {
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        self.note("fetch");
        self.inner.fetch(scope)
    }

    fn exchange<'a>(
        &'a self,
        subject: &'a SubjectToken,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        self.note(&format!("exchange {}", subject.expose_token()));
        self.inner.exchange(subject, scope)
    }

    fn rejected(&self, scope: &Scope, token: &Token) {
        self.note(&format!("rejected {}", token.expose_token()));
        self.inner.rejected(scope, token);
    }
}

#[tokio::test]
async fn a_closure_is_a_source_and_so_is_a_pointer_to_one() -> Outcome {
    let closure = token_source_fn(|scope: Scope| async move {
        Ok(TokenResponse::bearer(&format!("for-{}", scope.audience().len()))?
            .with_expires_in(Duration::from_secs(60)))
    });
    let boxed: Box<dyn TokenSource> = Box::new(closure);
    let shared: Arc<dyn TokenSource> = Arc::new(boxed);
    let idaas = Idaas::builder().token_source(shared).scope("api://a|read").build()?;
    assert_eq!(text(idaas.token().await)?, "for-7");
    let error = idaas.exchange(&SubjectToken::access_token("s".to_owned())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(!error.is_transient() && !error.to_string().contains("refused"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_wrapped_source_passes_fetches_exchanges_and_rejections_the_later_one_first() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let notes = Notes::default();
    let mut builder = client_of(&issuer);
    for name in ["inner", "outer"] {
        let notes = Arc::clone(&notes);
        let (client_id, token_endpoint) = (issuer.client_id().to_owned(), issuer.token_endpoint());
        builder = builder.wrap_source(move |inner, context| {
            assert_eq!((context.client_id(), context.instance_id()), (&*client_id, TestIdaas::INSTANCE_ID));
            assert!(context.issuer().ends_with(&token_endpoint), "{}", context.issuer());
            assert!(context.method() == "CLIENT_SECRET_POST" && !context.is_custom(), "{}", context.method());
            assert!(context.environment().variable(TestIdaas::SECRET_VARIABLE).is_some());
            Ok(Noting { name, inner, notes })
        });
    }
    let idaas = builder.build()?;
    let subject = issuer.user_token("user_1", &"api://front|call".parse()?)?;
    idaas.exchange(&SubjectToken::access_token(subject.clone())).await?;
    let token = idaas.token().await?;
    idaas.invalidate(&token);
    idaas.token().await?;

    let subject = subject.expose_secret();
    let rejected = token.expose_token();
    let expected: Vec<String> =
        [format!("exchange {subject}"), "fetch".into(), format!("rejected {rejected}"), "fetch".into()]
            .iter()
            .flat_map(|what| [format!("outer {what}"), format!("inner {what}")])
            .collect();
    assert_eq!(*notes.lock().unwrap(), expected);
    Ok(())
}

#[tokio::test]
async fn a_wrapper_that_cannot_be_made_is_a_fault_of_the_configuration() {
    let refuse =
        |_inner, context: &tower_idaas::token::SourceContext| -> Result<ScriptedSource, ConfigError> {
            assert!(context.is_custom() && context.client_id().is_empty() && context.issuer().is_empty());
            Err(ConfigFault::new("store", "has no usable keys; expected one").into())
        };
    let builder =
        Idaas::builder().token_source(ScriptedSource::new()).scope("api://a|read").wrap_source(refuse);
    let error = builder.build().unwrap_err();
    assert_eq!(error.to_string(), "configuration: `store` has no usable keys; expected one");
}

#[tokio::test]
async fn a_source_that_keeps_tokens_says_how_old_one_is() -> Outcome {
    let (idaas, clock) = {
        let clock = tower_idaas::clock::ManualClock::new();
        let source = token_source_fn(|_scope| async {
            let response = TokenResponse::bearer("kept")?;
            Ok(response.with_expires_in(Duration::from_secs(1000)).with_age(Duration::from_secs(400)))
        });
        let builder = Idaas::builder().token_source(source).scope("api://a|read").clock(clock.clone());
        (builder.build()?, clock)
    };
    idaas.prefetch().await?;
    clock.advance(Duration::from_secs(590));
    assert!(idaas.peek().is_some());
    clock.advance(Duration::from_secs(20));
    assert!(idaas.peek().is_none());
    Ok(())
}
