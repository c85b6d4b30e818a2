//! What such a middleware is asked to prove before it is trusted, and the tests that prove it.
//!
//! | | property | proven by |
//! |---|---|---|
//! | 1 | a cold start is one token request, however many ask and give up | `a_thousand_cold_requests_make_one_token_request`, `five_hundred_cancelled_requests_neither_restart_nor_starve_the_fetch` |
//! | 2 | callers less patient than the issuer is slow do not starve | `callers_less_patient_than_the_issuer_is_slow_do_not_starve` |
//! | 3 | while a token lives, no request fails for a dead issuer, which gets one request per back-off step | `when_due_and_the_issuer_is_down_all_are_served_and_it_gets_one_request_per_step` |
//! | 4 | a token that dies in an outage is replaced after it, without a rebuild | `a_token_that_dies_while_the_issuer_is_gone_is_replaced_when_it_is_back` |
//! | 5 | a refusal is forgotten in seconds, and a rotated secret needs no restart | `a_definitive_refusal_is_remembered_for_five_seconds_at_most`, `a_secret_file_renamed_into_place_while_the_old_secret_is_refused_is_used_at_once`, `the_next_refresh_uses_the_secret_that_is_in_the_file_then` |
//! | 6 | many rejections of one token are one refresh, and a late one is none | `fifty_rejections_of_one_token_make_one_refresh`, `fifty_requests_in_flight_with_one_token_make_one_refresh_when_all_are_rejected`, `fifty_rejected_requests_make_one_refresh_and_one_replay_each_and_a_late_one_fetches_nothing` |
//! | 7 | what was requested before a rejection is not used after it | `invalidating_during_a_refresh_voids_what_the_refresh_brings`, `invalidating_during_a_refresh_voids_it_even_without_a_waiter` |
//! | 8 | a rejection of a request that cannot be sent twice passes to the caller as it is, and invalidates the token | `a_streamed_body_is_sent_once_and_its_rejected_token_is_invalidated`, `only_a_401_about_our_own_token_counts`, `responses_pass_untouched` |
//! | 9 | no token goes over plain text to another machine, nor along with a redirect | `no_token_goes_over_plain_text_to_another_machine_unless_allowed`, `inside_a_redirect_layer_the_list_keeps_the_token_from_another_origin`, `outside_a_redirect_layer_no_list_is_needed`, `no_token_follows_a_redirect_from_https_to_http`, `no_token_reaches_another_origin_however_many_redirects_lead_there` |
//! | 10 | a redirect of the token endpoint is refused | `redirects_are_refused_without_a_second_request` |
//! | 11 | whatever the issuer says of a token's life makes sense, and short lives are cached | `the_life_of_a_token_is_found_however_the_issuer_writes_it`, `a_token_of_unknown_life_is_cached_for_a_minute`, `tokens_that_live_for_seconds_or_minutes_are_cached` |
//! | 12 | neither a suspended machine nor a clock set back lets an expired token out | `an_expired_token_never_leaves_by_either_clock`, `a_token_once_found_dead_stays_dead_when_the_clock_is_set_back` |
//! | 13 | no log, error or `Debug` of a whole life shows a secret | `no_life_shows_a_secret_or_a_token` |
//! | 14 | assertions verify with every kind of key, and each attempt makes its own | `every_algorithm_is_verified_by_the_other_side`, `each_attempt_makes_an_assertion_of_its_own`, `an_assertion_says_who_to_whom_and_for_how_long_and_no_two_are_alike` |
//! | 15 | a handle is shared by runtimes, and dropped anywhere | `two_runtimes_share_a_handle_in_any_order`, `a_handle_is_dropped_outside_a_runtime_in_silence` |
//! | 16 | back-pressure of inner services is respected, and no permit is lost | `a_request_that_waits_for_a_token_holds_no_permit_and_takes_one_when_it_leaves`, `a_request_dropped_while_it_waits_for_a_permit_leaves_it_to_others`, `a_buffer_works_inside_and_outside_and_a_dropped_request_frees_its_place`, `the_instance_that_was_ready_is_the_one_called_whether_it_waits_for_a_token_or_not` |
//! | 17 | a hit allocates nothing, on one thread or several; its time is measured by `benches/hot_path.rs` | `a_hit_allocates_nothing_when_the_service_is_kept`, `a_hit_allocates_nothing_on_two_threads_at_once` |
//! | 18 | the vendor's file is understood, and what is not supported is reported with what is | `what_people_write_is_understood`, `every_method_of_the_vendor_is_known_be_it_supported_or_not`, `a_method_that_cannot_be_used_is_refused_with_what_can` |

use std::collections::HashSet;
use std::path::Path;

/// The property's number and the names of its tests, as the table has them.
fn rows() -> Vec<(String, Vec<String>)> {
    let table = include_str!("guarantees.rs").lines().filter_map(|line| line.strip_prefix("//! | "));
    let rows = table.filter_map(|row| {
        let mut cells = row.split(" | ");
        let number = cells.next().filter(|number| number.parse::<u32>().is_ok())?;
        let names = cells.nth(1)?.split('`').skip(1).step_by(2);
        Some((number.to_owned(), names.map(str::to_owned).collect()))
    });
    rows.collect()
}

/// The names of all tests in the Rust files of a folder and the ones below it.
pub(super) fn collect_tests(folder: &Path, found: &mut HashSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_tests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let mut is_test = false;
            for line in text.lines().map(str::trim_start) {
                let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
                if let Some((name, _)) = function.and_then(|function| function.split_once('(')) {
                    if std::mem::take(&mut is_test) {
                        found.insert(name.to_owned());
                    }
                } else if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                    is_test = true;
                }
            }
        }
    }
}

#[test]
fn every_test_that_the_table_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = HashSet::new();
    collect_tests(&root.join("tests"), &mut tests);
    collect_tests(&root.join("src"), &mut tests);
    let rows = rows();
    let numbers: Vec<_> = rows.iter().map(|(number, _)| number.clone()).collect();
    assert_eq!(numbers, (1..=18).map(|number| number.to_string()).collect::<Vec<_>>());
    for (number, names) in rows {
        assert!(!names.is_empty(), "nothing proves property {number}");
        for name in names {
            assert!(tests.contains(&name), "property {number}: there is no test `{name}`");
        }
    }
}
