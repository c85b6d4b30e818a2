//! Our requests equal those that the vendor's own client was seen to send, from the same configuration,
//! variables and files.
//!
//! The captures are in `tests/golden`, one file per case, with throwaway keys. A case does with our client what
//! was done with the vendor's; then every request, in its order, must be equal in method, scheme, host, path,
//! query, content type, `Authorization` and decoded form, whose order has no meaning. What differs on purpose
//! is in the module of the method, with the reason, and nowhere else.

#[cfg(feature = "aliyun")]
mod api;
mod assertion;
mod attested;
mod capture;
mod client;
mod exchange;
mod plugin;
mod secret;
mod sent;

use std::collections::BTreeMap;

use capture::Capture;

/// How many captures each method has: of its own, and of exchanges.
const COUNTS: [(&str, usize, usize); 8] = [
    ("CLIENT_SECRET_BASIC", 10, 1),
    ("CLIENT_SECRET_JWT", 11, 1),
    ("CLIENT_SECRET_POST", 15, 2),
    ("OIDC", 5, 1),
    ("PCA", 2, 1),
    ("PKCS7", 1, 1),
    ("PLUGIN", 8, 1),
    ("PRIVATE_KEY_JWT", 14, 1),
];

/// All captures: the sum of `COUNTS`.
const CASES: usize = 75;

/// Runs the case as its method asks for.
async fn check(capture: Capture) {
    match capture.method() {
        "CLIENT_SECRET_BASIC" => secret::check_basic(&capture).await,
        "CLIENT_SECRET_POST" => secret::check_post(&capture).await,
        "CLIENT_SECRET_JWT" | "PRIVATE_KEY_JWT" | "PCA" => assertion::check(capture).await,
        "OIDC" => attested::check_oidc(capture).await,
        "PKCS7" => attested::check_pkcs7(&capture).await,
        "PLUGIN" => plugin::check(capture).await,
        other => panic!("{}: no module runs `{other}`", capture.name),
    }
}

/// Runs every case of the method but its exchanges.
async fn check_all(method: &str) {
    let captures: Vec<Capture> = Capture::all().into_iter().filter(|it| it.method() == method).collect();
    let captures: Vec<Capture> = captures.into_iter().filter(|it| !it.is_exchange()).collect();
    let count = COUNTS.iter().find(|count| count.0 == method).unwrap().1;
    assert_eq!(captures.len(), count, "{method}");
    for capture in captures {
        check(capture).await;
    }
}

#[test]
fn the_75_captures_are_all_accounted_for() {
    let mut found = BTreeMap::<String, (usize, usize)>::new();
    for capture in Capture::all() {
        let count = found.entry(capture.method().to_owned()).or_default();
        if capture.is_exchange() {
            count.1 += 1;
        } else {
            count.0 += 1;
        }
    }
    let expected = COUNTS.map(|(method, own, exchanges)| (method.to_owned(), (own, exchanges)));
    assert_eq!(found, BTreeMap::from(expected));
    assert_eq!(found.values().map(|(own, exchanges)| own + exchanges).sum::<usize>(), CASES);
}

/// How many captures, of the SDK and of the API clients, differ on purpose and why. All others are equal.
#[cfg(feature = "aliyun")]
const DIFFERENT: [(capture::Difference, usize); 5] = [
    (capture::Difference::Plugin, 10),
    (capture::Difference::LineBreak, 4),
    (capture::Difference::Pkcs1Key, 3),
    (capture::Difference::FetchedOnce, 2),
    (capture::Difference::WeakKey, 2),
];

#[cfg(feature = "aliyun")]
#[tokio::test]
#[allow(clippy::print_stdout, reason = "`--nocapture` shows the count")]
async fn the_documents_say_how_many_captures_are_equal_and_how_many_differ() {
    let mut found = BTreeMap::<capture::Difference, usize>::new();
    let mut equal = 0;
    let mut count = |differences: Vec<capture::Difference>| match differences.as_slice() {
        [] => equal += 1,
        [difference] => *found.entry(*difference).or_default() += 1,
        several => panic!("{several:?}"),
    };
    for capture in Capture::all() {
        let capture = exchange::without_needless_requests(capture);
        let differences = capture.differences();
        check(capture).await;
        count(differences.take().into_iter().collect());
    }
    api::CASES.iter().for_each(|(_, difference)| count(difference.iter().copied().collect()));
    assert_eq!(found, BTreeMap::from(DIFFERENT));
    let different: usize = found.values().sum();
    let all = equal + different;
    println!("of {all} captures, {equal} are equal and {different} differ on purpose: {found:?}");

    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migrating.md");
    let migrating = std::fs::read_to_string(page).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        format!("with {all} captures of the vendor's own clients"),
        format!("{equal} are equal. The other {different} differ only"),
    ] {
        assert!(migrating.contains(&part), "the page does not say: {part}");
    }
    for (difference, count) in DIFFERENT {
        assert!(migrating.contains(&format!("| {count}: ")), "{difference:?}");
    }
}
