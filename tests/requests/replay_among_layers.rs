//! The replay among other layers: policies of the user's own, buffers, limits.

use http::{Request, Response, StatusCode};
use tokio::task::JoinSet;
use tower::buffer::BufferLayer;
use tower::limit::ConcurrencyLimitLayer;
use tower::retry::{Policy, RetryLayer};
use tower::{ServiceBuilder, ServiceExt};

use crate::handles::{Outcome, ScriptedSource, fed_by};
use crate::replay::{ORDERED_WITH_1, ORDERED_WITH_2, Shop, first_token_is_bad, order};

/// A policy of the user's own: three attempts while the API is unavailable.
#[derive(Clone)]
struct WhenUnavailable(usize);

impl<B: Clone, A, E> Policy<Request<B>, Response<A>, E> for WhenUnavailable {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut Request<B>, result: &mut Result<Response<A>, E>) -> Option<Self::Future> {
        let busy = result.as_ref().is_ok_and(|response| response.status() == StatusCode::SERVICE_UNAVAILABLE);
        self.0 = self.0.checked_sub(1).filter(|_| busy)?;
        Some(std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn it_goes_with_a_retry_policy_of_the_users_inside_and_outside() -> Outcome {
    // Busy, the token rejected, busy again, and served.
    let answers = |number: usize, _: &str| {
        if number == 2 {
            401
        } else if number < 4 {
            503
        } else {
            200
        }
    };
    let expected = [ORDERED_WITH_1, ORDERED_WITH_1, ORDERED_WITH_2, ORDERED_WITH_2];
    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    let shop = Shop::default();
    let inside = ServiceBuilder::new()
        .retry(WhenUnavailable(3))
        .retry(tower_idaas::RetryUnauthorized::new())
        .layer(idaas.layer())
        .service(shop.service(answers));
    assert_eq!(inside.oneshot(order()).await?.status(), StatusCode::OK);
    assert_eq!(shop.seen(), expected);

    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    let shop = Shop::default();
    let outside = ServiceBuilder::new()
        .layer(RetryLayer::new(tower_idaas::RetryUnauthorized::new()))
        .layer(RetryLayer::new(WhenUnavailable(3)))
        .layer(idaas.layer())
        .service(shop.service(answers));
    assert_eq!(outside.oneshot(order()).await?.status(), StatusCode::OK);
    assert_eq!(shop.seen(), expected);
    Ok(())
}

#[tokio::test]
async fn it_goes_with_buffers_and_limits_of_one_at_a_time_at_any_place() -> Outcome {
    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    let shop = Shop::default();
    let client = ServiceBuilder::new()
        .layer(BufferLayer::new(1))
        .layer(ConcurrencyLimitLayer::new(4))
        .retry(tower_idaas::RetryUnauthorized::new())
        .layer(ConcurrencyLimitLayer::new(1))
        .layer(idaas.layer())
        .layer(BufferLayer::new(1))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(shop.service(first_token_is_bad));
    let mut requests = JoinSet::new();
    for _ in 0..8 {
        requests.spawn(client.clone().oneshot(order()));
    }
    while let Some(response) = requests.join_next().await {
        assert_eq!(response??.status(), StatusCode::OK);
    }
    assert_eq!(shop.seen().iter().filter(|seen| *seen == ORDERED_WITH_1).count(), 1);
    assert_eq!(shop.seen().iter().filter(|seen| *seen == ORDERED_WITH_2).count(), 8);
    Ok(())
}
