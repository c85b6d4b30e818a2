//! Random input, at the same places where `fuzz/` feeds it in: random throughout, and the fuzzers' seeds with something
//! changed.

mod entry;

use std::path::{Path, PathBuf};

use proptest::prelude::*;

/// A change to an input: bytes at a place are overwritten, removed, inserted or doubled.
#[derive(Clone, Debug)]
struct Change {
    place: prop::sample::Index,
    length: usize,
    bytes: Vec<u8>,
}

fn change() -> impl Strategy<Value = Change> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        prop::sample::select(vec!["$S", "\"", "\\", "{", "]", "\0", "-----", "\r\n", "null", "-1", "1e400"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    (any::<prop::sample::Index>(), 0..8_usize, bytes).prop_map(|(place, length, bytes)| Change {
        place,
        length,
        bytes,
    })
}

/// One of these with a few changes, or random bytes. The first three bytes may choose what the rest is.
fn input(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let choices = prop::collection::vec(any::<u8>(), 0..=3);
    let changes = prop::collection::vec(change(), 0..4);
    let changed = (prop::sample::select(seeds), prop::option::of(choices), changes).prop_map(
        |(mut bytes, choices, changes)| {
            for (byte, choice) in bytes.iter_mut().zip(choices.unwrap_or_default()) {
                *byte = choice;
            }
            for Change { place, length, bytes: new } in changes {
                let start = place.index(bytes.len() + 1);
                let end = bytes.len().min(start + length);
                bytes.splice(start..end, new);
            }
            bytes
        },
    );
    prop_oneof![4 => changed, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// What the fuzz target of this name begins with.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    files(&format!("fuzz/seeds/{target}")).iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Every key and certificate beside the tests, as each kind of input.
fn all_pem() -> Vec<Vec<u8>> {
    let files = [files("tests/golden/keys"), files("tests/odd_keys")].concat();
    let pem = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "pem"));
    let pem: Vec<Vec<u8>> = pem.map(|path| std::fs::read(path).unwrap()).collect();
    assert!(pem.len() > 20, "the keys are elsewhere");
    let of_each_kind = |bytes: Vec<u8>| (0..5).map(move |kind| [&[kind], bytes.as_slice()].concat());
    let pairs = pem.iter().map(|key| [b"\x01", entry::CERTIFICATE.as_bytes(), b"\0", key].concat());
    pairs.chain(pem.iter().cloned().flat_map(of_each_kind)).chain(seeds("pem")).collect()
}

/// Otherwise nothing would get beyond the first check.
#[test]
fn what_the_changed_input_is_made_from_is_accepted() {
    let whole = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/configuration/whole"));
    entry::client_of(std::str::from_utf8(&whole.unwrap()[1..]).unwrap()).unwrap();
    entry::client_with(entry::CERTIFICATE, entry::KEY).unwrap();
}

/// Each target of `fuzz/` has its seeds and its dictionary, and is tried here as well.
#[test]
fn every_fuzz_target_has_seeds_a_dictionary_and_a_test() {
    let name = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let names = |folder: &str| files(folder).iter().map(name).collect::<Vec<_>>();
    let targets = names("fuzz/fuzz_targets");
    assert_eq!(names("fuzz/seeds"), targets);
    assert_eq!(names("fuzz/dictionaries"), targets);
    let manifest =
        std::fs::read_to_string(files("fuzz").iter().find(|path| path.ends_with("Cargo.toml")).unwrap());
    let (manifest, tests) = (manifest.unwrap(), include_str!("mod.rs"));
    for target in targets {
        assert!(manifest.contains(&format!("name = \"{target}\"")), "{target} is not in fuzz/Cargo.toml");
        assert!(tests.contains(&format!("entry::{target}(&bytes)")), "{target} has no test here");
        seeds(&target).iter().for_each(|seed| assert!(seed.len() < 4096, "a seed of {target} is large"));
    }
}

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(count) }
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn no_configuration_makes_it_panic_or_shows_a_secret(bytes in input(seeds("configuration"))) {
        entry::configuration(&bytes);
    }

    #[test]
    fn no_response_makes_it_panic_shows_a_secret_or_silences_it(bytes in input(seeds("token_response"))) {
        entry::token_response(&bytes);
    }

    #[test]
    fn no_header_makes_it_panic_shows_a_secret_or_silences_it(bytes in input(seeds("response_headers"))) {
        entry::response_headers(&bytes);
    }

    #[test]
    fn no_echo_shows_a_part_of_a_secret(bytes in input(seeds("redaction"))) {
        entry::redaction(&bytes);
    }

    #[test]
    fn a_token_goes_only_where_a_list_lets_it(bytes in input(seeds("destination"))) {
        entry::destination(&bytes);
    }

    #[test]
    fn a_scope_is_refused_or_made_of_its_parts(bytes in input(seeds("scope"))) {
        entry::scope(&bytes);
    }
}

proptest! {
    // A key that is one after all signs, and RSA keys take their time; so do threads that read files.
    #![proptest_config(cases(256))]

    #[test]
    fn no_key_and_no_certificate_makes_it_panic_or_is_shown(bytes in input(all_pem())) {
        entry::pem(&bytes);
    }

    #[test]
    fn no_variable_makes_it_panic_or_shows_a_secret(bytes in input(seeds("environment_variable"))) {
        entry::environment_variable(&bytes);
    }
}

#[cfg(feature = "transport")]
proptest! {
    // These go over real connections.
    #![proptest_config(cases(96))]

    #[test]
    fn no_bytes_of_a_server_make_it_panic_or_show_a_secret(bytes in input(seeds("http_response"))) {
        entry::http_response(&bytes);
    }

    #[test]
    fn no_bytes_of_a_proxy_make_it_panic_or_show_its_password(bytes in input(seeds("proxy_response"))) {
        entry::proxy_response(&bytes);
    }
}

#[cfg(feature = "aliyun")]
proptest! {
    #![proptest_config(cases(192))]

    #[test]
    fn no_throttling_makes_it_panic_or_silences_it(bytes in input(seeds("throttling_headers"))) {
        entry::throttling_headers(&bytes);
    }

    #[test]
    fn no_profile_file_makes_it_panic_or_shows_a_secret(bytes in input(seeds("profile_file"))) {
        entry::profile_file(&bytes);
    }
}

#[cfg(all(feature = "aliyun", unix))]
proptest! {
    // Each starts a program.
    #![proptest_config(cases(32))]

    #[test]
    fn no_output_of_a_program_makes_it_panic_or_is_shown(bytes in input(seeds("process_output"))) {
        entry::process_output(&bytes);
    }
}
