//! Assertions of a machine whose clock is off.

use super::*;
use tower_idaas::authn::ClientSecretJwt;

#[tokio::test]
async fn a_machine_whose_clock_is_off_learns_the_issuers_time_from_the_refusal_and_keeps_to_it() {
    for method in METHODS {
        for off in [Duration::from_secs(3_600), Duration::from_secs(86_400)] {
            for ahead in [true, false] {
                let (issuers, ours) = (ManualClock::new(), ManualClock::new());
                if ahead {
                    ours.set_wall_ahead(off);
                } else {
                    ours.set_wall_back(off);
                }
                let idaas = TestIdaas::builder().clock(issuers.clone()).start().await.unwrap();
                let (builder, _directory) = client(&idaas, method);
                let client = builder.clock(ours.clone()).build().unwrap();
                client.prefetch().await.unwrap();
                assert_eq!(idaas.requests().len(), 2, "one refused, one granted");

                for clock in [&issuers, &ours] {
                    clock.advance(Duration::from_secs(2_000));
                }
                client.prefetch().await.unwrap();
                assert_eq!(idaas.requests().len(), 3, "granted at once");
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_key_is_not_tried_again_for_the_clocks_sake() {
    let idaas = TestIdaas::start().await.unwrap();
    let client = in_code(&idaas).authenticator(ClientSecretJwt::new(value("wrong"))).build().unwrap();
    refused(&client).await;
    assert_eq!(idaas.requests().len(), 1);
}
